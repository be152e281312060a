//! Where object stores copy, move and link from, and where they copy and move to, as headers say (S75).
//!
//! What such a header names is read for the request's principal, and deleted where it moves; or it is written, and the
//! request's own target is what is read and deleted. Stores differ in what the name is relative to; each path that it can
//! mean is judged.

use std::iter;

use http::Method;

use super::second_resource::{
    SecondResourceError, SecondResourcePolicy, acts_on_destination, only, rewritten,
};
use super::source_readings::{SourceReading, TargetPath, bucket_and_key, is_bucket_of, readings};
use crate::config::HostPattern;
use crate::request::{CopySource, Extent, Host, SourceForm, is_plain, reads_as};
use crate::route::other_paths;

/// The other accounts of Swift's in which headers name something.
const ACCOUNTS: [&str; 3] = [
    "destination-account",
    "x-copy-from-account",
    "x-symlink-target-account",
];

/// With which a store of its own kind deletes what `x-amz-copy-source` names.
const DISPOSITION: &str = "x-amz-copy-disposition";

/// Where a store may serve a source, too.
struct PlaceBeside {
    host: Host,
    path: String,
    /// Whether what closes all of that host closes the source: the host is the bucket's own, or the one below which
    /// buckets have hosts.
    is_own: bool,
}

impl SecondResourcePolicy<'_> {
    /// Judges what the request copies or moves from, and to where it copies or moves its target.
    pub(super) fn require_copy_sources(&self) -> Result<(), SecondResourceError> {
        let headers = self.head.headers;
        let of_copy = |name| CopySource::of_copy(name).filter(|_| acts_on_destination(self.head));
        for name in headers.keys() {
            let Some(source) = CopySource::of(name).or_else(|| of_copy(name)) else {
                continue;
            };
            if !is_plain(name) {
                return Err(SecondResourceError::Unreadable(source.name));
            }
            let value = only(headers, name, source.name)?.unwrap_or_default();
            let target = self.target_path();
            if source.form == SourceForm::Container {
                self.require_own_account(target)?;
            }
            let readings = readings(source, value, target, self.head.host)?;
            self.require_few(&readings, source.name)?;
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
                self.require_below(&self.target, method)?;
            }
        }
        Ok(())
    }

    /// Judges the request's own target by another method than its own.
    fn require_target(&self, method: &Method, header: &'static str) -> Result<(), SecondResourceError> {
        let target = self.head.path.parse();
        let target = target.map_err(|_| SecondResourceError::Unreadable(header))?;
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
        let Some(url) = meant else {
            return Ok(());
        };
        for method in methods {
            let route = self.require_second(&url, method, source.name)?;
            let path = rewritten(route, url.clone(), source.name)?;
            match source.extent {
                Extent::Object => {}
                Extent::Below => self.require_below(path.path(), method)?,
                Extent::Prefix => self.require_beginning_with(path.path(), method)?,
            }
        }
        Ok(())
    }

    /// Judges a source where else the store serves it: by the host of its bucket, by a host that it names, and below its
    /// bucket's name on any other host of the same application.
    fn require_bucket_beside(
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
        let mut places: Vec<PlaceBeside> = Vec::new();
        let mut look_at = |host: &Host, name: &str, is_own: bool| {
            for base in &bases {
                let path = format!("{base}/{name}");
                let mut known = places.iter_mut();
                if let Some(place) = known.find(|place| place.host == *host && place.path == path) {
                    place.is_own |= is_own;
                    continue;
                }
                self.spend(&path, source.name)?;
                let host = host.clone();
                places.push(PlaceBeside { host, path, is_own });
            }
            Ok::<_, SecondResourceError>(())
        };
        let patterns = self.gateway.routes.host_patterns();
        for host in patterns
            .iter()
            .filter_map(HostPattern::exact)
            .filter(|&host| host != own)
        {
            look_at(host, object, own.is_below(host))?;
        }
        // What the bucket's name is read as may be that of another host.
        let sent = format!("/{object}");
        let others =
            other_paths(&sent).map_err(|reason| SecondResourceError::BadPath(source.name, reason))?;
        for reading in iter::once(&sent).chain(&others) {
            let name = reading.trim_start_matches('/');
            let (bucket, key) = bucket_and_key(name).unwrap_or_else(|| (name.to_owned(), ""));
            let named = bucket.parse().ok().filter(|_| source.form == SourceForm::Any);
            for pattern in patterns {
                match pattern {
                    HostPattern::Exact(host) if host != own && is_bucket_of(host, &bucket) => {
                        look_at(host, key, true)?;
                    }
                    HostPattern::Exact(_) => {}
                    HostPattern::Below(domain) => {
                        let host = format!("{bucket}.{domain}").parse::<Host>();
                        if let Some(host) = host.ok().filter(|host| host != own) {
                            look_at(&host, key, true)?;
                            look_at(&host, object, false)?;
                        }
                    }
                }
            }
            if let Some(host) = named.filter(|host| host != own) {
                look_at(&host, key, true)?;
            }
        }
        for PlaceBeside { host, path, is_own } in &places {
            let url = self.parse(path, source.name)?;
            for method in methods {
                let routes = &self.gateway.routes;
                let mut there = routes.at_any_reading(host, url.path(), method);
                there.retain(|routes| *is_own || !routes.is_root);
                there.extend(match source.extent {
                    Extent::Object => Vec::new(),
                    Extent::Below => routes.below(host, url.path(), method),
                    Extent::Prefix => routes.beginning_with(host, url.path(), method),
                });
                if let Some(route) = self.closed(there, method).next() {
                    return Err(SecondResourceError::Forbidden {
                        header: source.name,
                        path: format!("{host}{}", url.path()),
                        reason: format!("{method} on the route {} is for others", route.label()),
                    });
                }
            }
        }
        Ok(())
    }

    /// Refuses a resource in another account than the target's: what that is called in a path is not known.
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
