//! Where object stores copy, move and link from, as headers say (S75).
//!
//! What such a header names is read for whoever makes the request, and deleted where it moves. Stores differ in what
//! the name is relative to; each path that it can mean is judged.

use http::Method;

use super::second_resource::{SecondResourceError, SecondResourcePolicy, only, rewritten};
use super::source_readings::{SourceReading, TargetPath, bucket_and_key, is_bucket_of, readings};
use crate::request::{CopySource, Extent, Host, RequestHead, SourceForm, is_plain, reads_as};
use crate::route::{RouteMatch, Unroutable};

/// The other accounts of Swift's in which headers name something.
const ACCOUNTS: [&str; 3] = [
    "destination-account",
    "x-copy-from-account",
    "x-symlink-target-account",
];

/// With which a store of its own kind deletes what `x-amz-copy-source` names.
const DISPOSITION: &str = "x-amz-copy-disposition";

impl SecondResourcePolicy<'_> {
    /// Judges what the request copies or moves from.
    pub(super) fn require_copy_sources(&self) -> Result<(), SecondResourceError> {
        let headers = self.head.headers;
        for name in headers.keys() {
            let Some(source) = CopySource::of(name) else {
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
            if let SourceForm::Bucket | SourceForm::Any = source.form {
                self.require_bucket_beside(source, methods, value, target)?;
            }
            if source.moves() {
                self.require_below(&self.target, &Method::PUT)?;
            }
        }
        Ok(())
    }

    fn require_copy_source(
        &self,
        source: &CopySource,
        methods: &[Method],
        reading: &SourceReading,
    ) -> Result<(), SecondResourceError> {
        let Some(url) = self.meant(reading, &Method::GET, source.name)? else {
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

    /// Judges a source on a host of its own, beside the one that is asked: that of another bucket, or the one that it
    /// names.
    fn require_bucket_beside(
        &self,
        source: &CopySource,
        methods: &[Method],
        value: &str,
        target: &TargetPath,
    ) -> Result<(), SecondResourceError> {
        let object = value.split('?').next().unwrap_or_default();
        let object = object.replace("%2F", "/").replace("%2f", "/");
        if object.contains("://") {
            return Ok(());
        }
        let own = self.head.host;
        let named = bucket_and_key(object.strip_prefix('/').unwrap_or(&object));
        let Some((bucket, key)) = named.filter(|(bucket, _)| !is_bucket_of(own, bucket)) else {
            return Ok(());
        };
        let of_bucket = own.as_str().match_indices('.');
        let of_bucket = of_bucket.map(|(dot, _)| format!("{bucket}{}", &own.as_str()[dot..]));
        let (named, bases) = match source.form {
            SourceForm::Any => (Some(bucket.clone()), target.bases().unwrap_or_default()),
            _ => (None, vec![""]),
        };
        let hosts: Vec<Host> = of_bucket
            .chain(named)
            .filter_map(|host| host.parse().ok())
            .filter(|host| self.gateway.routes.has_host(host))
            .collect();
        for base in bases {
            let url = self.parse(&format!("{base}/{key}"), source.name)?;
            for (host, method) in hosts
                .iter()
                .flat_map(|host| methods.iter().map(move |method| (host, method)))
            {
                let there = RequestHead {
                    host,
                    ..self.at(&url, method)
                };
                let is_closed = match self.gateway.routes.find(&there) {
                    Ok(RouteMatch::Route(route)) => {
                        let below = || self.gateway.routes.below(host, url.path(), method);
                        self.leads_there(route) && self.extends_to(route, method).is_err()
                            || source.extent == Extent::Below && self.closed(below(), method).next().is_some()
                    }
                    Err(Unroutable::BadPath(_)) => {
                        return Err(SecondResourceError::Unreadable(source.name));
                    }
                    Err(Unroutable::MethodNotAllowed(_)) => true,
                    Ok(RouteMatch::Page(_)) | Err(_) => false,
                };
                if is_closed {
                    return Err(SecondResourceError::Forbidden {
                        header: source.name,
                        path: format!("{host}{}", url.path()),
                        reason: "the bucket is for others".to_owned(),
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
