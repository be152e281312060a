//! Computes what the value of a copy-source header can mean (S75). Pure functions.

use std::iter;

use percent_encoding::percent_decode_str;

use super::second_resource_error::SecondResourceError;
use crate::request::{CopySource, Host, SourceForm};
use crate::route::MOST_READINGS;

/// Bytes that all readings of sources may have together, beyond the length of the target.
const ROOM: usize = 64 << 10;

/// One meaning of a header's value: a URL, or a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SourceReading {
    pub(super) text: String,
    /// Whether it counts only if a route takes it to the request's own application.
    pub(super) is_lenient: bool,
}

/// The path that the upstream is asked for, with its other readings.
#[derive(Debug)]
pub(super) struct TargetPath {
    sent: String,
    others: Vec<String>,
}

impl TargetPath {
    /// `others` are the readings of `sent` besides itself, as they could be sent.
    pub(super) fn new(sent: &str, others: Vec<String>) -> Self {
        Self {
            sent: sent.to_owned(),
            others,
        }
    }

    /// Returns how many bytes all names relative to it may have as readings.
    pub(super) fn most_bytes(&self) -> usize {
        ROOM + self.sent.len()
    }

    /// Returns the path as it was sent, then its other readings.
    fn readings(&self) -> impl Iterator<Item = &str> {
        iter::once(self.sent.as_str()).chain(self.others.iter().map(String::as_str))
    }

    /// Returns a name relative to each base; `None` if that exceeds the limit.
    fn relative(&self, name: &str) -> Option<Vec<SourceReading>> {
        let bases = self.bases()?;
        let bytes: usize = bases.iter().map(|base| base.len() + name.len()).sum();
        (bytes <= self.most_bytes()).then(|| bases.into_iter().map(|base| lenient(base, name)).collect())
    }

    /// Returns the bases that a relative name may have: the empty path first, then every prefix that ends
    /// before a slash, and the whole path. `None` if there are too many.
    pub(super) fn bases(&self) -> Option<Vec<&str>> {
        let mut bases = vec![""];
        for path in self.readings() {
            let borders = path.match_indices('/').map(|(at, _)| &path[..at]);
            for base in borders.chain([path.trim_end_matches('/')]) {
                if !bases.contains(&base) {
                    bases.push(base);
                }
                if bases.len() > MOST_READINGS {
                    return None;
                }
            }
        }
        Some(bases)
    }

    /// Returns the distinct segments of all readings.
    pub(super) fn segments(&self) -> Vec<&str> {
        let mut segments = Vec::new();
        for segment in self.readings().flat_map(|path| path.split('/')) {
            if !segment.is_empty() && !segments.contains(&segment) {
                segments.push(segment);
            }
        }
        segments
    }

    /// Whether it may be an object in a Swift container.
    pub(super) fn is_in_container(&self) -> bool {
        self.readings().any(|path| {
            account(path).is_some_and(|(version, _)| path.split('/').skip(version + 2).nth(1).is_some())
        })
    }

    /// Whether every reading of it names this Swift account.
    pub(super) fn is_of_account(&self, named: &str) -> bool {
        let accounts = self.readings().filter_map(account);
        let mut accounts = accounts.map(|(_, account)| account).peekable();
        accounts.peek().is_some() && accounts.all(|account| account.as_deref() == Some(named))
    }
}

/// Returns everything that a source can mean in a request for `target`.
pub(super) fn readings(
    source: &CopySource,
    value: &str,
    target: &TargetPath,
    host: &Host,
) -> Result<Vec<SourceReading>, SecondResourceError> {
    let unreadable = || SecondResourceError::Unreadable(source.name);
    let authority = value
        .split_once("://")
        .and_then(|(_, rest)| rest.split('/').next());
    if authority.is_some_and(|authority| authority.contains('%')) {
        return Err(unreadable());
    }
    // A query holds versions, snapshots or signatures. In Swift a `?` belongs to the name, which `parse`
    // refuses.
    let (object, query) = match source.form {
        SourceForm::Container => (value, ""),
        _ => value.split_once('?').unwrap_or((value, "")),
    };
    // Some clients encode the slash between bucket and key.
    let object = object.replace("%2F", "/").replace("%2f", "/");
    let relative = object.strip_prefix('/').unwrap_or(&object);
    // Names with a colon are access points (ARNs) without a path, or URLs to some stores.
    let has_colon = || fully_decoded(relative.split('/').next().unwrap_or_default()).contains(':');
    // To some stores `?` is part of the name, so what follows it must not lead elsewhere.
    let leads_elsewhere =
        |query: &str| fully_decoded(query).contains(['\\', '#']) || fully_decoded(query).contains("/.");
    // Any store may be served below a base path.
    let below_base = || by_any(relative, target, host).ok_or(SecondResourceError::TooAmbiguous(source.name));
    let readings = match source.form {
        SourceForm::Url => vec![strict(&object)],
        SourceForm::Any if object.contains("://") => vec![strict(&object)],
        // An unknown store may read a quoted string.
        SourceForm::Any if object.starts_with('"') || query.contains(['/', '%']) => return Err(unreadable()),
        _ if leads_elsewhere(query) => return Err(unreadable()),
        SourceForm::Any if object.is_empty() => Vec::new(),
        SourceForm::Host if object.starts_with('/') => vec![strict(&object)],
        SourceForm::Host => vec![strict(&format!("https://{object}"))],
        SourceForm::Any if has_colon() => vec![strict(&format!("https://{object}"))],
        SourceForm::Any => below_base()?,
        SourceForm::Key if object.contains("://") => return Err(unreadable()),
        SourceForm::Key => in_bucket(relative, target),
        SourceForm::Bucket | SourceForm::Container if has_colon() => return Err(unreadable()),
        SourceForm::Bucket => {
            let in_host = key_in(relative, host).map(|key| strict(&format!("/{key}")));
            let readings = [strict(&format!("/{relative}"))].into_iter().chain(in_host);
            distinct(readings.chain(below_base()?))
        }
        SourceForm::Container => distinct(in_account(relative, target).into_iter().chain(below_base()?)),
    };
    Ok(readings)
}

/// Returns everything that `Destination` can mean as Swift's `container/object`; `None` if that exceeds the
/// limit.
pub(super) fn destinations(value: &str, target: &TargetPath) -> Option<Vec<SourceReading>> {
    let value = value.replace("%2F", "/").replace("%2f", "/");
    let relative = value.strip_prefix('/').unwrap_or(&value);
    let elsewhere = target.relative(relative)?;
    let readings = in_account(relative, target).into_iter().chain(elsewhere);
    Some(distinct(readings))
}

fn strict(text: &str) -> SourceReading {
    SourceReading {
        text: text.to_owned(),
        is_lenient: false,
    }
}

fn lenient(base: &str, relative: &str) -> SourceReading {
    SourceReading {
        text: format!("{base}/{relative}"),
        is_lenient: true,
    }
}

/// Returns the key in the bucket that the host or the path names.
fn in_bucket(key: &str, target: &TargetPath) -> Vec<SourceReading> {
    let beside = |path| format!("{}/{key}", up_to(path, 1));
    let readings = [strict(&format!("/{key}")), strict(&beside(&target.sent))];
    let others = target.others.iter().map(|path| SourceReading {
        text: beside(path),
        is_lenient: true,
    });
    distinct(readings.into_iter().chain(others))
}

/// Returns the name in the account that the path names, if it names one.
fn in_account(relative: &str, target: &TargetPath) -> Vec<SourceReading> {
    let mut readings = Vec::new();
    for (index, path) in target.readings().enumerate() {
        let is_lenient = index > 0;
        let text = |base: &str| SourceReading {
            text: format!("{base}/{relative}"),
            is_lenient,
        };
        match account(path) {
            None if is_lenient => {}
            None => readings.push(text("")),
            Some((version, account)) => {
                readings.extend([lenient("", relative), text(up_to(path, version + 2))]);
                // A path without an account begins with the container.
                if !account.is_some_and(|account| account.starts_with("AUTH_")) {
                    readings.push(text(up_to(path, version + 1)));
                }
            }
        }
    }
    distinct(readings)
}

/// Removes repeated texts; the first reading of each stays.
fn distinct(readings: impl IntoIterator<Item = SourceReading>) -> Vec<SourceReading> {
    let mut distinct: Vec<SourceReading> = Vec::new();
    for reading in readings {
        if !distinct.iter().any(|other| other.text == reading.text) {
            distinct.push(reading);
        }
    }
    distinct
}

/// Returns a name relative to every part of the path, and in the bucket that the host names.
fn by_any(relative: &str, target: &TargetPath, host: &Host) -> Option<Vec<SourceReading>> {
    let mut readings = target.relative(relative)?;
    if let Some(key) = key_in(relative, host) {
        readings.extend(target.relative(key)?);
    }
    Some(readings)
}

/// Returns the key of `bucket/key` if the host is the bucket's own.
fn key_in<'r>(relative: &'r str, host: &Host) -> Option<&'r str> {
    let (bucket, key) = bucket_and_key(relative)?;
    is_bucket_of(host, &bucket).then_some(key)
}

/// Splits `bucket/key`; the bucket is decoded.
pub(super) fn bucket_and_key(relative: &str) -> Option<(String, &str)> {
    let (bucket, key) = relative.split_once('/')?;
    Some((percent_decode_str(bucket).decode_utf8_lossy().into_owned(), key))
}

/// Whether a host is the bucket's own, so that the path is the key.
pub(super) fn is_bucket_of(host: &Host, bucket: &str) -> bool {
    let (host, bucket) = (host.as_str(), bucket.to_ascii_lowercase());
    host.strip_prefix(bucket.as_str())
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

/// Returns the first `segments` segments of a path.
fn up_to(path: &str, segments: usize) -> &str {
    let end = path.match_indices('/').nth(segments);
    end.map_or(path, |(end, _)| &path[..end])
}

/// Returns the index of the version segment in a Swift path, `/v1/account/container/object`, and the account.
fn account(path: &str) -> Option<(usize, Option<String>)> {
    let decoded = |segment| percent_decode_str(segment).decode_utf8_lossy().into_owned();
    let mut segments = path.split('/').skip(1).map(decoded);
    let version = segments.position(|segment| ["v1", "v1.0"].contains(&segment.as_str()))?;
    Some((version, segments.next()))
}

/// Decodes percent-encoding as many times as a path may be encoded.
fn fully_decoded(text: &str) -> String {
    let decode = |text: String, _| percent_decode_str(&text).decode_utf8_lossy().into_owned();
    (0..=3).fold(text.to_owned(), decode)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::route::ReadPath;

    fn read(name: &str, value: &str, target: &str) -> Option<Vec<String>> {
        let source = CopySource::of(&name.parse().unwrap()).unwrap();
        let host = "b.example.com".parse().unwrap();
        let others = ReadPath::within(target, usize::MAX).unwrap().others().collect();
        let readings = readings(source, value, &TargetPath::new(target, others), &host).ok()?;
        let told = |reading: SourceReading| {
            if reading.is_lenient {
                format!("({})", reading.text)
            } else {
                reading.text
            }
        };
        Some(readings.into_iter().map(told).collect())
    }

    /// Header, value, target, and its readings.
    type Row = (&'static str, &'static str, &'static str, &'static [&'static str]);

    fn assert_read(rows: &[Row]) {
        for &(name, value, target, paths) in rows {
            let what = format!("{name}: {value} {target}");
            assert_eq!(read(name, value, target).unwrap(), paths, "{what}");
        }
    }

    #[test]
    fn a_source_is_read_in_all_ways_that_it_can_mean() {
        assert_read(&[
            (
                "x-amz-copy-source",
                "b/k?versionId=1",
                "/b/c",
                &["/b/k", "/k", "(/b/b/k)", "(/b/c/b/k)", "(/b/c/k)"],
            ),
            (
                "x-oss-copy-source",
                "/b%2Fk+l",
                "/b/c",
                &["/b/k+l", "/k+l", "(/b/b/k+l)", "(/b/c/b/k+l)", "(/b/c/k+l)"],
            ),
            (
                "x-amz-copy-source",
                "%62/k",
                "/c",
                &["/%62/k", "/k", "(/c/%62/k)", "(/c/k)"],
            ),
            (
                "x-amz-copy-source",
                "b.example/k",
                "/c",
                &["/b.example/k", "/k", "(/c/b.example/k)", "(/c/k)"],
            ),
            (
                "x-amz-copy-source",
                "a/k",
                "/b/c",
                &["/a/k", "(/b/a/k)", "(/b/c/a/k)"],
            ),
            (
                "x-amz-copy-source",
                "b.example.com/k/l",
                "/c",
                &["/b.example.com/k/l", "/k/l", "(/c/b.example.com/k/l)", "(/c/k/l)"],
            ),
            ("x-amz-rename-source", "k/l", "/b/c/d", &["/k/l", "/b/k/l"]),
            (
                "x-ms-rename-source",
                "/fs/d?sig=x",
                "/fs/e",
                &["/fs/d", "(/fs/fs/d)", "(/fs/e/fs/d)"],
            ),
            (
                "x-ms-copy-source",
                "https://h/c/b?sig=x",
                "/c/d",
                &["https://h/c/b"],
            ),
            ("x-cos-copy-source", "b.h/k?versionId=1", "/l", &["https://b.h/k"]),
            ("x-cos-copy-source", "/b/k", "/l", &["/b/k"]),
            (
                "x-amz-rename-source",
                "k",
                "/b%2Fc/d",
                &["/k", "/b%2Fc/k", "(/b/k)"],
            ),
            ("x-amz-rename-source", "a:b", "/b/c", &["/a:b", "/b/a:b"]),
            (
                "x-new-copy-source",
                "/b/k?v=1",
                "/c/d",
                &["(/b/k)", "(/c/b/k)", "(/c/d/b/k)", "(/k)", "(/c/k)", "(/c/d/k)"],
            ),
            ("x-new-copy-source", "https://h/k?s=%2F", "/c", &["https://h/k"]),
            ("x-new-copy-source", "h:8443/k", "/c", &["https://h:8443/k"]),
            ("x-new-copy-source", "", "/c", &[]),
        ]);
    }

    #[test]
    fn a_source_of_swift_is_in_the_account_of_the_target_or_below_a_path() {
        let swift = "x-copy-from";
        assert_read(&[
            (swift, "c/o", "/d/o", &["/c/o", "(/d/c/o)", "(/d/o/c/o)"]),
            (
                swift,
                "/c/o",
                "/v1/AUTH_a/d/o",
                &[
                    "(/c/o)",
                    "/v1/AUTH_a/c/o",
                    "(/v1/c/o)",
                    "(/v1/AUTH_a/d/c/o)",
                    "(/v1/AUTH_a/d/o/c/o)",
                ],
            ),
            (
                swift,
                "c/o",
                "/%761.0/%41UTH_a/d/o",
                &[
                    "(/c/o)",
                    "/%761.0/%41UTH_a/c/o",
                    "(/v1.0/AUTH_a/c/o)",
                    "(/%761.0/c/o)",
                    "(/%761.0/%41UTH_a/d/c/o)",
                    "(/%761.0/%41UTH_a/d/o/c/o)",
                    "(/v1.0/c/o)",
                    "(/v1.0/AUTH_a/d/c/o)",
                    "(/v1.0/AUTH_a/d/o/c/o)",
                ],
            ),
            (
                swift,
                "c/o",
                "/swift/v1/d/o",
                &[
                    "(/c/o)",
                    "/swift/v1/d/c/o",
                    "/swift/v1/c/o",
                    "(/swift/c/o)",
                    "(/swift/v1/d/o/c/o)",
                ],
            ),
        ]);
    }

    #[test]
    fn what_leads_elsewhere_is_no_source() {
        for (name, value) in [
            (
                "x-amz-copy-source",
                "arn:aws:s3:us-east-1:1:accesspoint/a/object/b",
            ),
            ("x-copy-from", "http://h/c/o"),
            ("x-amz-copy-source", "arn%3Aaws/k"),
            ("x-amz-copy-source", "b/k?x/../../c"),
            ("x-cos-copy-source", "h/k?x%2F..%2Fc"),
            ("x-amz-rename-source", "http://h/k"),
            ("x-new-copy-source", "b/k?x=/../c"),
            ("x-new-copy-source", "?/../c"),
            ("x-new-copy-source", "\"b/k\""),
            ("x-new-copy-source", "https://h%2fa/b"),
            ("x-ms-copy-source", "https://h%2Fa/b"),
        ] {
            assert_eq!(read(name, value, "/b/c"), None, "{name}: {value}");
        }
    }
}
