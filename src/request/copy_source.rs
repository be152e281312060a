//! Headers that name what a request copies or moves to its target: those of object stores (S75).

use http::HeaderName;

use super::reads_as;

/// One of these headers.
#[derive(Debug, PartialEq, Eq)]
pub struct CopySource {
    /// Its name, in lower case.
    pub name: &'static str,
    /// How it names a resource.
    pub form: SourceForm,
    /// Whether what it names is gone afterwards.
    pub moves: bool,
}

/// How a header names a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SourceForm {
    /// `bucket/key`, percent-encoded, with or without a slash before it.
    Bucket,
    /// `key`, of the target's own bucket.
    Key,
    /// `host/key`.
    Host,
    /// A URL.
    Url,
    /// `container/object`, of the target's own account.
    Container,
}

use SourceForm::{Bucket, Container, Host, Key, Url};

static ALL: [CopySource; 10] = [
    CopySource::copies("x-amz-copy-source", Bucket),
    CopySource::moves("x-amz-rename-source", Key),
    CopySource::copies("x-bce-copy-source", Bucket),
    CopySource::copies("x-copy-from", Container),
    CopySource::copies("x-cos-copy-source", Host),
    CopySource::copies("x-goog-copy-source", Bucket),
    CopySource::copies("x-ms-copy-source", Url),
    CopySource::moves("x-ms-rename-source", Bucket),
    CopySource::copies("x-obs-copy-source", Bucket),
    CopySource::copies("x-oss-copy-source", Bucket),
];

impl CopySource {
    /// The one for which some server takes a header of this name.
    pub fn of(name: &HeaderName) -> Option<&'static Self> {
        ALL.iter().find(|known| reads_as(name, known.name))
    }

    const fn copies(name: &'static str, form: SourceForm) -> Self {
        Self {
            name,
            form,
            moves: false,
        }
    }

    const fn moves(name: &'static str, form: SourceForm) -> Self {
        Self {
            name,
            form,
            moves: true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_in_every_spelling_that_servers_take_for_it() {
        for (name, known) in [
            ("X-Amz-Copy-Source", Some("x-amz-copy-source")),
            ("x~oss_copy.source", Some("x-oss-copy-source")),
            ("x_copy_from", Some("x-copy-from")),
            ("x-copy-from-account", None),
            ("x-amz-copy-source-if-match", None),
            ("x-amz-copy-sources", None),
        ] {
            let found = CopySource::of(&name.parse().unwrap()).map(|source| source.name);
            assert_eq!(found, known, "{name}");
        }
    }
}
