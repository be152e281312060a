//! Policy for the sources that object stores copy, move or link from, as headers such as `x-amz-copy-source`
//! name them (S75).
//!
//! The application reads a source with the rights of the request, and deletes it if it moves. Stores differ
//! in what the name is relative to, so every path that it can mean is evaluated.

use std::collections::BTreeMap;
use std::iter;

use http::Method;

use super::second_resource::{SecondResourcePolicy, acts_on_destination, only};
use super::second_resource_error::SecondResourceError;
use super::source_readings::{SourceReading, TargetPath, bucket_and_key, is_bucket_of, readings};
use crate::config::HostPattern;
use crate::request::{CopySource, Extent, Host, SourceForm, is_plain, reads_as};
use crate::route::ReadPath;

/// Headers of `OpenStack` Swift that name another account.
const ACCOUNTS: [&str; 3] = [
    "destination-account",
    "x-copy-from-account",
    "x-symlink-target-account",
];

/// Its presence may make a copy with `x-amz-copy-source` delete the source.
const DISPOSITION: &str = "x-amz-copy-disposition";

/// Most headers of a request that name sources. Each is looked up at every base and host anew.
const MOST_SOURCES: usize = 2;

/// Most places, on all other hosts together, at which a source may be. Each is compared with the routes of its host.
const MOST_PLACES: usize = 1000;

impl SecondResourcePolicy<'_> {
    /// Evaluates every source that the request's headers name.
    pub(super) fn require_copy_sources(&self) -> Result<(), SecondResourceError> {
        let headers = self.head.headers;
        let of_copy = |name| CopySource::of_copy(name).filter(|_| acts_on_destination(self.head));
        let sources = headers.keys().filter_map(|name| {
            let source = CopySource::of(name).or_else(|| of_copy(name))?;
            Some((name, source))
        });
        let sources: Vec<_> = sources.take(MOST_SOURCES + 1).collect();
        if let Some((_, source)) = sources.get(MOST_SOURCES) {
            return Err(SecondResourceError::TooAmbiguous(source.name));
        }
        for (name, source) in sources {
            if !is_plain(name) {
                return Err(SecondResourceError::Unreadable(source.name));
            }
            let value = only(headers, name, source.name)?.unwrap_or_default();
            let target = self.target_path();
            if source.form == SourceForm::Container {
                self.require_own_account(target)?;
            }
            let readings = readings(source, value, target, self.head.host)?;
            let is_disposed_of = headers.keys().any(|name| reads_as(name, DISPOSITION));
            let methods = if is_disposed_of && !source.moves() {
                CopySource::MOVE
            } else {
                source.methods
            };
            for reading in &readings {
                self.require_copy_source(source, methods, reading)?;
            }
            let is_of_bucket = match source.form {
                SourceForm::Bucket | SourceForm::Any => true,
                SourceForm::Host => value.starts_with('/'),
                SourceForm::Key | SourceForm::Url | SourceForm::Container => false,
            };
            if is_of_bucket {
                self.require_bucket_beside(source, methods, value, target)?;
            }
            for method in source.on_target {
                if source.is_destination {
                    self.require_target(method, source.name)?;
                }
                self.require_below(&self.target, method, source.name)?;
            }
        }
        Ok(())
    }

    /// Judges the request's own target by another method than its own.
    fn require_target(&self, method: &Method, header: &'static str) -> Result<(), SecondResourceError> {
        let target = self.read(self.head.path, header)?;
        self.require_second(&target, method, header).map(drop)
    }

    fn require_copy_source(
        &self,
        source: &CopySource,
        methods: &[Method],
        reading: &SourceReading,
    ) -> Result<(), SecondResourceError> {
        // A reading is one of this application if a route takes it there by any of the methods.
        let mut meant = None;
        for method in methods {
            if meant.is_none() {
                meant = self.meant(reading, method, source.name)?;
            }
        }
        let Some((url, path)) = meant else {
            return Ok(());
        };
        for method in methods {
            let route = self.require_second(&path, method, source.name)?;
            let path = self.rewritten(route, url.clone(), source.name)?;
            match source.extent {
                Extent::Object => {}
                Extent::Below => self.require_below(path.path(), method, source.name)?,
                Extent::Prefix => self.require_beginning_with(path.path(), method, source.name)?,
            }
        }
        Ok(())
    }

    /// Evaluates a source at the other places where the store may serve it: on the bucket's own host, on a
    /// host that the value names, and below the bucket's name on any other host of this application.
    pub(super) fn require_bucket_beside(
        &self,
        source: &CopySource,
        methods: &[Method],
        value: &str,
        target: &TargetPath,
    ) -> Result<(), SecondResourceError> {
        let object = value.split('?').next().unwrap_or_default();
        let object = object.replace("%2F", "/").replace("%2f", "/");
        let object = object.strip_prefix('/').unwrap_or(&object);
        if object.is_empty() || object.contains("://") {
            return Ok(());
        }
        let bases = target
            .bases()
            .ok_or(SecondResourceError::TooAmbiguous(source.name))?;
        let own = self.head.host;
        let sent = self.read(&format!("/{object}"), source.name)?;
        let readings: Vec<String> = iter::once(sent.as_str().to_owned())
            .chain(sent.others())
            .collect();
        // A name on a host, and whether routes for all of that host apply to the source: the host is the bucket's own, or
        // the parent of bucket hosts.
        let mut objects: BTreeMap<(Host, &str), bool> = BTreeMap::new();
        let mut add = |host: Host, name, is_own: bool| *objects.entry((host, name)).or_default() |= is_own;
        let patterns = self.gateway.routes.host_patterns();
        for host in patterns
            .iter()
            .filter_map(HostPattern::exact)
            .filter(|&host| host != own)
        {
            add(host.clone(), object, own.is_below(host));
        }
        // Other readings of the bucket's name may match another host.
        for reading in &readings {
            let name = reading.trim_start_matches('/');
            let (bucket, key) = bucket_and_key(name).unwrap_or_else(|| (name.to_owned(), ""));
            let named = bucket.parse().ok().filter(|_| source.form == SourceForm::Any);
            for pattern in patterns {
                match pattern {
                    HostPattern::Exact(host) if host != own && is_bucket_of(host, &bucket) => {
                        add(host.clone(), key, true);
                    }
                    HostPattern::Exact(_) => {}
                    HostPattern::Below(domain) => {
                        let host = format!("{bucket}.{domain}").parse::<Host>();
                        if let Some(host) = host.ok().filter(|host| host != own) {
                            add(host.clone(), key, true);
                            add(host, object, false);
                        }
                    }
                }
            }
            if let Some(host) = named.filter(|host| host != own) {
                add(host, key, true);
            }
        }
        let routes = &self.gateway.routes;
        objects.retain(|(host, _), _| routes.of_host(host).any(|route| self.leads_there(route)));
        if objects.len() * bases.len() > MOST_PLACES {
            return Err(SecondResourceError::TooAmbiguous(source.name));
        }
        for ((host, name), is_own) in objects {
            for base in &bases {
                let url = self.parse(&format!("{base}/{name}"), source.name)?;
                let path = self.read(url.path(), source.name)?;
                for method in methods {
                    self.require_beside(source, method, &host, &path, is_own)?;
                }
            }
        }
        Ok(())
    }

    /// Judges a source at a path of another host.
    fn require_beside(
        &self,
        source: &CopySource,
        method: &Method,
        host: &Host,
        path: &ReadPath,
        is_own: bool,
    ) -> Result<(), SecondResourceError> {
        let routes = &self.gateway.routes;
        let mut there = routes.at_any_reading(host, path, method);
        there.retain(|routes| is_own || !routes.is_root);
        there.extend(match source.extent {
            Extent::Object => Vec::new(),
            Extent::Below => routes.below(host, path, method),
            Extent::Prefix => routes.beginning_with(host, path, method),
        });
        match self.closed(there, method).next() {
            None => Ok(()),
            Some(route) => Err(SecondResourceError::Forbidden {
                header: source.name,
                path: format!("{host}{}", path.as_str()),
                reason: format!("{method} on the route {} is for others", route.label()),
            }),
        }
    }

    /// Refuses a header that names an account other than the target's: the source's path would not be known.
    pub(super) fn require_own_account(&self, target: &TargetPath) -> Result<(), SecondResourceError> {
        let headers = self.head.headers;
        for known in ACCOUNTS {
            for name in headers.keys().filter(|name| reads_as(name, known)) {
                let named = only(headers, name, known)?.filter(|_| is_plain(name));
                let named = named.ok_or(SecondResourceError::Unreadable(known))?;
                if !target.is_of_account(named) {
                    return Err(SecondResourceError::Forbidden {
                        header: known,
                        path: named.to_owned(),
                        reason: "it is not the account of the request's own path".to_owned(),
                    });
                }
            }
        }
        Ok(())
    }
}
