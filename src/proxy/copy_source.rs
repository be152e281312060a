//! Where object stores copy and move from, as headers say (S75).
//!
//! What such a header names is read for whoever makes the request, and deleted where it moves. Stores differ in what
//! the name is relative to; each path that it can mean is judged.

use http::{HeaderMap, Method};
use percent_encoding::percent_decode_str;

use super::Gateway;
use super::second_resource::{SecondResourceError, at, only, parse, rewritten};
use crate::authorize::Permit;
use crate::request::{CopySource, Host, RequestHead, SourceForm, is_plain, reads_as};
use crate::route::{Found, Route, Unroutable};

/// The other account in which `X-Copy-From` names something.
const ACCOUNT: &str = "x-copy-from-account";

/// A URL, or a path, that a header can mean.
#[derive(Debug, PartialEq, Eq)]
struct Reading {
    text: String,
    /// Whether it means nothing unless a route takes it to the very application.
    is_lenient: bool,
}

impl Gateway {
    /// Judges what a request for the route `own` copies or moves from.
    pub(super) fn require_copy_sources(
        &self,
        head: &RequestHead<'_>,
        own: &Route,
        permit: &Permit,
    ) -> Result<(), SecondResourceError> {
        for name in head.headers.keys() {
            let Some(source) = CopySource::of(name) else {
                continue;
            };
            if !is_plain(name) {
                return Err(SecondResourceError::Unreadable(source.name));
            }
            let value = only(head.headers, name, source.name)?.unwrap_or_default();
            let target = own.bare_path(head.path).unwrap_or(head.path.into());
            if source.form == SourceForm::Container {
                require_own_account(head.headers, &target)?;
            }
            for reading in readings(source, value, &target, head.host)? {
                self.require_copy_source(head, own, permit, source, &reading)?;
            }
            if source.form == SourceForm::Bucket {
                self.require_bucket_beside(head, own, permit, source, value)?;
            }
            if source.moves {
                self.require_below(head, &target, own, &Method::PUT, permit)?;
            }
        }
        Ok(())
    }

    /// Judges a source in another bucket that has a host of its own, beside the one that is asked.
    fn require_bucket_beside(
        &self,
        head: &RequestHead<'_>,
        own: &Route,
        permit: &Permit,
        source: &CopySource,
        value: &str,
    ) -> Result<(), SecondResourceError> {
        let object = value.split('?').next().unwrap_or_default();
        let object = object.replace("%2F", "/").replace("%2f", "/");
        let named = bucket_and_key(object.strip_prefix('/').unwrap_or(&object));
        let Some((bucket, key)) = named.filter(|(bucket, _)| !is_bucket_of(head.host, bucket)) else {
            return Ok(());
        };
        let beside = head
            .host
            .as_str()
            .split_once('.')
            .map(|(_, rest)| format!("{bucket}.{rest}"));
        let Some(Ok(host)) = beside.map(|host| host.parse::<Host>()) else {
            return Ok(());
        };
        let url = parse(&format!("/{key}"), head, source.name)?;
        for method in [Method::GET, Method::DELETE]
            .iter()
            .take(1 + usize::from(source.moves))
        {
            let there = RequestHead {
                host: &host,
                ..at(head, &url, method)
            };
            let route = match self.routes.find(&there) {
                Ok(Found::Route(route)) => route,
                Err(Unroutable::BadPath(_)) => return Err(SecondResourceError::Unreadable(source.name)),
                Ok(Found::Page(_)) | Err(_) => return Ok(()),
            };
            let leads_there = self.upstreams.is_one_application(route.target(), own.target());
            if leads_there && permit.extends_to(route, method).is_err() {
                return Err(SecondResourceError::Forbidden {
                    header: source.name,
                    path: format!("{host}/{key}"),
                    reason: "the bucket is for others".to_owned(),
                });
            }
        }
        Ok(())
    }

    fn require_copy_source(
        &self,
        head: &RequestHead<'_>,
        own: &Route,
        permit: &Permit,
        source: &CopySource,
        reading: &Reading,
    ) -> Result<(), SecondResourceError> {
        let url = parse(&reading.text, head, source.name)?;
        let found = self.routes.find(&at(head, &url, &Method::GET));
        let leads_there = |route: &Route| self.upstreams.is_one_application(route.target(), own.target());
        if reading.is_lenient && !matches!(found, Ok(Found::Route(route)) if leads_there(route)) {
            return Ok(());
        }
        let route = self.require_second(head, &url, &Method::GET, permit, source.name)?;
        if source.moves {
            self.require_second(head, &url, &Method::DELETE, permit, source.name)?;
            // Directories are moved with all that is in them.
            let url = rewritten(route, url, source.name)?;
            self.require_below(head, url.path(), own, &Method::GET, permit)?;
            self.require_below(head, url.path(), own, &Method::DELETE, permit)?;
        }
        Ok(())
    }
}

/// All that a header's value can mean in a request for `target`.
fn readings(
    source: &CopySource,
    value: &str,
    target: &str,
    host: &Host,
) -> Result<Vec<Reading>, SecondResourceError> {
    // Versions, snapshots and signatures; for others it belongs to a name, and is refused.
    let object = match source.form {
        SourceForm::Container => value,
        _ => value.split('?').next().unwrap_or_default(),
    };
    // The slash between bucket and key is encoded by some.
    let object = object.replace("%2F", "/").replace("%2f", "/");
    let relative = object.strip_prefix('/').unwrap_or(&object);
    let is_path = !matches!(source.form, SourceForm::Url | SourceForm::Host);
    // An access point has a name of Amazon's, and no path; what has a scheme is a URL to some.
    if is_path
        && relative
            .split('/')
            .next()
            .is_some_and(|first| first.contains(':'))
    {
        return Err(SecondResourceError::Unreadable(source.name));
    }
    let strict = |base: &str| Reading {
        text: format!("{base}/{relative}"),
        is_lenient: false,
    };
    let readings = match source.form {
        SourceForm::Bucket => {
            let in_host = bucket_and_key(relative)
                .filter(|(bucket, _)| is_bucket_of(host, bucket))
                .map(|(_, key)| Reading {
                    text: format!("/{key}"),
                    is_lenient: false,
                });
            [strict("")].into_iter().chain(in_host).collect()
        }
        // In the bucket that the host names, or the path.
        SourceForm::Key => vec![strict(""), strict(up_to(target, 1))],
        SourceForm::Host if object.starts_with('/') => vec![strict("")],
        SourceForm::Host => vec![Reading {
            text: format!("https://{object}"),
            is_lenient: false,
        }],
        SourceForm::Url => vec![Reading {
            text: object.clone(),
            is_lenient: false,
        }],
        SourceForm::Container => match account(target) {
            None => vec![strict("")],
            Some((version, account)) => {
                let outside = Reading {
                    is_lenient: true,
                    ..strict("")
                };
                let inside = strict(up_to(target, version + 2));
                // Where the path names no account, it begins with the container.
                let is_told = account.is_some_and(|account| account.starts_with("AUTH_"));
                let beside = (!is_told).then(|| strict(up_to(target, version + 1)));
                [outside, inside].into_iter().chain(beside).collect()
            }
        },
    };
    // Some read `+` as in a query.
    let with_blanks = readings.iter().filter(|reading| reading.text.contains('+'));
    let with_blanks: Vec<Reading> = with_blanks
        .map(|reading| Reading {
            text: reading.text.replace('+', "%20"),
            ..*reading
        })
        .collect();
    Ok(readings.into_iter().chain(with_blanks).collect())
}

/// The bucket, decoded, and the key in `bucket/key`.
fn bucket_and_key(relative: &str) -> Option<(String, &str)> {
    let (bucket, key) = relative.split_once('/')?;
    Some((percent_decode_str(bucket).decode_utf8_lossy().into_owned(), key))
}

/// Whether the host is a bucket's own: then the path is the key.
fn is_bucket_of(host: &Host, bucket: &str) -> bool {
    let (host, bucket) = (host.as_str(), bucket.to_ascii_lowercase());
    host.strip_prefix(bucket.as_str())
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

/// The first segments of a path.
fn up_to(path: &str, segments: usize) -> &str {
    let end = path.match_indices('/').nth(segments);
    end.map_or(path, |(end, _)| &path[..end])
}

/// Where the version stands in a path of Swift's, as `/v1/account/container/object`, and the account after it.
fn account(path: &str) -> Option<(usize, Option<String>)> {
    let decoded = |segment| percent_decode_str(segment).decode_utf8_lossy().into_owned();
    let mut segments = path.split('/').skip(1).map(decoded);
    let version = segments.position(|segment| ["v1", "v1.0"].contains(&segment.as_str()))?;
    Some((version, segments.next()))
}

/// Refuses a source in another account than the target's: what that is called in a path is not known.
fn require_own_account(headers: &HeaderMap, target: &str) -> Result<(), SecondResourceError> {
    let own = account(target).and_then(|(_, account)| account);
    for name in headers.keys().filter(|name| reads_as(name, ACCOUNT)) {
        let named = only(headers, name, ACCOUNT)?.filter(|_| is_plain(name));
        let named = named.ok_or(SecondResourceError::Unreadable(ACCOUNT))?;
        if own.as_deref() != Some(named) {
            return Err(SecondResourceError::Forbidden {
                header: ACCOUNT,
                path: named.to_owned(),
                reason: "it is not the account of the request's own path".to_owned(),
            });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(name: &str, value: &str, target: &str) -> Option<Vec<String>> {
        let source = CopySource::of(&name.parse().unwrap()).unwrap();
        let readings = readings(source, value, target, &"b.example.com".parse().unwrap()).ok()?;
        let told = |reading: Reading| {
            if reading.is_lenient {
                format!("({})", reading.text)
            } else {
                reading.text
            }
        };
        Some(readings.into_iter().map(told).collect())
    }

    #[test]
    fn a_source_is_read_in_all_ways_that_it_can_mean() {
        let swift = "x-copy-from";
        for (name, value, target, paths) in [
            (
                "x-amz-copy-source",
                "b/k?versionId=1",
                "/b/c",
                ["/b/k", "/k"].as_slice(),
            ),
            (
                "x-oss-copy-source",
                "/b%2Fk+l",
                "/b/c",
                &["/b/k+l", "/k+l", "/b/k%20l", "/k%20l"],
            ),
            ("x-amz-copy-source", "%62/k", "/c", &["/%62/k", "/k"]),
            ("x-amz-copy-source", "b.example/k", "/c", &["/b.example/k", "/k"]),
            ("x-amz-copy-source", "a/k", "/b/c", &["/a/k"]),
            (
                "x-amz-copy-source",
                "b.example.com/k/l",
                "/c",
                &["/b.example.com/k/l", "/k/l"],
            ),
            ("x-amz-rename-source", "k/l", "/b/c/d", &["/k/l", "/b/k/l"]),
            ("x-ms-rename-source", "/fs/d?sig=x", "/fs/e", &["/fs/d"]),
            (
                "x-ms-copy-source",
                "https://h/c/b?sig=x",
                "/c/d",
                &["https://h/c/b"],
            ),
            ("x-cos-copy-source", "b.h/k?versionId=1", "/l", &["https://b.h/k"]),
            ("x-cos-copy-source", "/b/k", "/l", &["/b/k"]),
            (swift, "c/o", "/d/o", &["/c/o"]),
            (swift, "/c/o", "/v1/AUTH_a/d/o", &["(/c/o)", "/v1/AUTH_a/c/o"]),
            (
                swift,
                "c/o",
                "/%761.0/%41UTH_a/d/o",
                &["(/c/o)", "/%761.0/%41UTH_a/c/o"],
            ),
            (
                swift,
                "c/o",
                "/swift/v1/d/o",
                &["(/c/o)", "/swift/v1/d/c/o", "/swift/v1/c/o"],
            ),
        ] {
            assert_eq!(
                read(name, value, target).unwrap(),
                paths,
                "{name}: {value} {target}"
            );
        }
        for (name, value) in [
            (
                "x-amz-copy-source",
                "arn:aws:s3:us-east-1:1:accesspoint/a/object/b",
            ),
            ("x-copy-from", "http://h/c/o"),
        ] {
            assert_eq!(read(name, value, "/b/c"), None, "{name}: {value}");
        }
    }
}
