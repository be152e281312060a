//! Recognises headers that name a second resource (S75): the sources of object stores, and those of WebDAV
//! and Swift.

use http::{HeaderName, Method};

use super::{reads_as, unpacks_archive};

/// A header that names what a request copies, moves or links to its target, or to where it copies or moves that.
#[derive(Debug, PartialEq, Eq)]
pub struct CopySource {
    /// Its name, in lower case; `*` and an ending if only the ending is known.
    pub name: &'static str,
    /// How it names a resource.
    pub form: SourceForm,
    /// Methods that the operation amounts to on that resource.
    pub methods: &'static [Method],
    /// How much it names.
    pub extent: Extent,
    /// What is done with the request's own target and what lies below it, as methods, beside what its own method says.
    pub on_target: &'static [Method],
    /// Whether it names where the target goes, and not what comes there.
    pub is_destination: bool,
}

/// The syntax in which a header names a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SourceForm {
    /// `bucket/key`, percent-encoded, with or without a leading slash.
    Bucket,
    /// `key`, in the target's own bucket.
    Key,
    /// `host/key`.
    Host,
    /// A URL.
    Url,
    /// `container/object`, in the target's own account.
    Container,
    /// Any of these: the store is not known.
    Any,
}

/// How much a header names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// One object.
    Object,
    /// An object and everything below it.
    Below,
    /// Every object whose name begins with it.
    Prefix,
}

use SourceForm::{Any, Bucket, Container, Host, Key, Url};

static KNOWN: [CopySource; 28] = [
    CopySource::copies("x-amz-copy-source", Bucket),
    CopySource::moves_from("x-amz-rename-source", Key),
    CopySource::copies("x-bce-copy-source", Bucket),
    CopySource::copies("x-copy-from", Container),
    CopySource::copies("x-cos-copy-source", Host),
    CopySource::moves_to("x-emc-path"),
    CopySource::copies("x-goog-copy-source", Bucket),
    CopySource::keeps("x-history-location"),
    CopySource::copies("x-kss-copy-source", Bucket),
    CopySource::copies("x-ms-copy-source", Url),
    CopySource::moves_from("x-ms-deleted-container-name", Any),
    CopySource::moves_from("x-ms-file-rename-source", Url),
    CopySource::moves_from("x-ms-rename-source", Bucket),
    CopySource::moves_from("x-ms-source-container-name", Any),
    CopySource::moves_from("x-ms-undelete-source", Key),
    CopySource::copies("x-nos-copy-source", Bucket),
    CopySource::moves_from("x-nos-move-source", Bucket),
    CopySource::reads_prefix("x-object-manifest"),
    CopySource::copies("x-obs-copy-source", Bucket),
    CopySource::copies("x-oss-copy-source", Bucket),
    CopySource::moves_from("x-oss-rename-source", Key),
    CopySource::copies("x-qs-copy-source", Bucket),
    CopySource::moves_from("x-qs-move-source", Bucket),
    CopySource::copies("x-symlink-target", Container),
    CopySource::copies("x-tos-copy-source", Bucket),
    CopySource::copies("x-upyun-copy-source", Bucket),
    CopySource::moves_from("x-upyun-move-source", Bucket),
    CopySource::keeps("x-versions-location"),
];

/// What every such name ends with; most other headers do not. Each is one word: signs between words differ.
const LAST: [&str; 17] = [
    "object",
    "path",
    "source",
    "uri",
    "url",
    "from",
    "src",
    "target",
    "manifest",
    "location",
    "key",
    "bucket",
    "name",
    "to",
    "destination",
    "dest",
    "dst",
];

static COPIES: CopySource = CopySource {
    extent: Extent::Below,
    ..CopySource::copies("*-copy-source", Any)
};
static MOVES: CopySource = CopySource::moves_from("*-move-source", Any);
static COPIES_TO: CopySource = CopySource {
    on_target: CopySource::COPY,
    ..CopySource::moves_to("*-copy-to")
};
static MOVES_TO: CopySource = CopySource::moves_to("*-move-to");

/// What a third-party copy of HTTP is made of: `COPY` with `Source` fetches it.
static PULLED: CopySource = CopySource::copies("source", Url);

impl CopySource {
    /// A copied source is read.
    const COPY: &[Method] = &[Method::GET];
    /// A moved source is read and deleted.
    pub const MOVE: &[Method] = &[Method::GET, Method::DELETE];
    /// A container for old versions is read, written and deleted from.
    const KEEP: &[Method] = &[Method::GET, Method::PUT, Method::DELETE];
    /// What is done where something is copied or moved to: what lies there is deleted first.
    const OVERWRITE: &[Method] = &[Method::DELETE, Method::PUT];

    /// Returns the header's description, if a known store takes it or its name describes such an operation.
    pub fn of(name: &HeaderName) -> Option<&'static Self> {
        if !LAST.iter().any(|last| name.as_str().ends_with(last)) {
            return None;
        }
        let known = KNOWN.iter().find(|known| reads_as(name, known.name));
        known.or_else(|| Self::by_words(name.as_str()))
    }

    /// The one for which servers take a header of this name in a COPY.
    pub fn of_copy(name: &HeaderName) -> Option<&'static Self> {
        reads_as(name, PULLED.name).then_some(&PULLED)
    }

    /// Recognises a name that ends in a verb of copying or moving, and a noun.
    fn by_words(name: &str) -> Option<&'static Self> {
        const SOURCES: [&str; 3] = ["source", "from", "src"];
        const DESTINATIONS: [&str; 5] = ["target", "to", "destination", "dest", "dst"];
        const OTHERS: [&str; 6] = ["key", "bucket", "object", "path", "uri", "url"];
        let is_sign = |letter: char| !letter.is_ascii_alphanumeric();
        let mut rest = name;
        let mut without = |nouns: &[&str]| {
            let before = nouns.iter().find_map(|noun| rest.strip_suffix(*noun));
            before.map(|before| rest = before.strip_suffix(is_sign).unwrap_or(before))
        };
        let (mut has_noun, mut is_source, mut is_destination) = (false, false, false);
        loop {
            if without(&SOURCES).is_some() {
                is_source = true;
            } else if without(&DESTINATIONS).is_some() {
                is_destination = true;
            } else if without(&OTHERS).is_none() {
                break;
            }
            has_noun = true;
        }
        let does = |verb: &&str| {
            let before = rest.strip_suffix(*verb);
            before.is_some_and(|before| before.is_empty() || before.ends_with(is_sign))
        };
        let is_destination = is_destination && !is_source;
        if !has_noun {
            None
        } else if ["copy", "cp", "clone"].iter().any(does) {
            Some(if is_destination { &COPIES_TO } else { &COPIES })
        } else if ["move", "mv", "rename"].iter().any(does) {
            Some(if is_destination { &MOVES_TO } else { &MOVES })
        } else if ["link", "symlink"].iter().any(does) {
            // A link's target is what it leads to.
            Some(&COPIES)
        } else {
            // Browsers say with `Sec-Fetch-Dest` what something is fetched for.
            let fetches = !is_destination && does(&"fetch");
            fetches.then_some(&COPIES)
        }
    }

    /// Whether the source is gone afterwards.
    pub fn moves(&self) -> bool {
        self.methods.contains(&Method::DELETE)
    }

    const fn copies(name: &'static str, form: SourceForm) -> Self {
        Self {
            name,
            form,
            methods: Self::COPY,
            extent: Extent::Object,
            on_target: &[],
            is_destination: false,
        }
    }

    const fn moves_from(name: &'static str, form: SourceForm) -> Self {
        Self {
            name,
            form,
            methods: Self::MOVE,
            extent: Extent::Below,
            on_target: &[Method::PUT],
            is_destination: false,
        }
    }

    const fn moves_to(name: &'static str) -> Self {
        Self {
            name,
            form: Any,
            methods: Self::OVERWRITE,
            extent: Extent::Below,
            on_target: Self::MOVE,
            is_destination: true,
        }
    }

    /// Swift's large objects: reading one reads all objects whose names begin with the prefix.
    const fn reads_prefix(name: &'static str) -> Self {
        Self {
            name,
            form: Container,
            methods: Self::COPY,
            extent: Extent::Prefix,
            on_target: &[],
            is_destination: false,
        }
    }

    /// Swift's versioning: the container keeps overwritten versions of the target, and restores them.
    const fn keeps(name: &'static str) -> Self {
        Self {
            name,
            form: Container,
            methods: Self::KEEP,
            extent: Extent::Below,
            on_target: &[Method::PUT],
            is_destination: false,
        }
    }
}

/// What else is said of a second resource: WebDAV's (RFC 4918, section 10), the accounts of Swift, the parts and the name of
/// an upload of tus, and the member of a collection of Atom (RFC 5023, section 9.7).
const QUALIFIERS: [&str; 12] = [
    "depth",
    "destination",
    "destination-account",
    "if",
    "overwrite",
    "slug",
    "source",
    "upload-concat",
    "upload-metadata",
    "x-amz-copy-disposition",
    "x-copy-from-account",
    "x-symlink-target-account",
];

/// Whether a header names a second resource, or qualifies one.
pub fn names_second_resource(name: &HeaderName) -> bool {
    CopySource::of(name).is_some()
        || unpacks_archive(name).is_some()
        || QUALIFIERS.iter().any(|known| reads_as(name, known))
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
            ("x_ms_source_container_name", Some("x-ms-source-container-name")),
            ("x-ms-deleted-container.name", Some("x-ms-deleted-container-name")),
            ("x-container-name", None),
            ("filename", None),
            ("x-copy-from-account", None),
            ("x-amz-copy-source-if-match", None),
            ("x-amz-copy-sources", None),
        ] {
            let found = CopySource::of(&name.parse().unwrap()).map(|source| source.name);
            assert_eq!(found, known, "{name}");
        }
    }

    #[test]
    fn s75_every_known_name_is_known_by_every_sign_between_its_words() {
        for known in &KNOWN {
            for sign in ["-", "_", ".", "~"] {
                let name = known.name.replace('-', sign);
                assert_eq!(CopySource::of(&name.parse().unwrap()), Some(known), "{name}");
            }
        }
    }

    #[test]
    fn a_name_that_says_what_it_names_whatever_the_store_is() {
        for (name, known) in [
            ("X-HCP-CopySource", Some("*-copy-source")),
            ("x-ufile-copy-source", Some("*-copy-source")),
            ("copy-source", Some("*-copy-source")),
            ("X_New_Copy_Src", Some("*-copy-source")),
            ("x-new-copy-from", Some("*-copy-source")),
            ("x-new-clone-source", Some("*-copy-source")),
            ("x-new-move.source", Some("*-move-source")),
            ("x-new-renamefrom", Some("*-move-source")),
            ("rename-source", Some("*-move-source")),
            ("x-bce-rename-key", Some("*-move-source")),
            ("x-oss-symlink-target", Some("*-copy-source")),
            ("x-bce-fetch-source", Some("*-copy-source")),
            ("x-tos-symlink-bucket", Some("*-copy-source")),
            ("x-new-copy-source-bucket", Some("*-copy-source")),
            ("x-ms-source-container-name", Some("x-ms-source-container-name")),
            ("x-new-copy-source-url", Some("*-copy-source")),
            ("x-kss-copy-sourceurl", Some("*-copy-source")),
            ("x-cp-from", Some("*-copy-source")),
            ("x-mv-from", Some("*-move-source")),
            ("X-EMC-Path", Some("x-emc-path")),
            ("x-copy-to", Some("*-copy-to")),
            ("x_copy.to", Some("*-copy-to")),
            ("x-new-clone-dest", Some("*-copy-to")),
            ("x-new-copy-destination-url", Some("*-copy-to")),
            ("x-new-copytarget", Some("*-copy-to")),
            ("x-move-to", Some("*-move-to")),
            ("x-rename-to", Some("*-move-to")),
            ("x-new-mv-dst", Some("*-move-to")),
            ("x-new-rename-target-key", Some("*-move-to")),
            ("x-new-copy-source-target", Some("*-copy-source")),
            ("x-new-link-to", Some("*-copy-source")),
            ("sec-fetch-dest", None),
            ("destination", None),
            ("source", None),
            ("to", None),
            ("reply-to", None),
            ("x-forwarded-to", None),
            ("x-goto", None),
            ("x-original-url", None),
            ("x-avatar-url", None),
            ("x-amz-bucket", None),
            ("x-source-bucket", None),
            ("x-api-key", None),
            ("idempotency-key", None),
            ("x-amz-server-side-encryption-customer-key", None),
            ("x-ms-file-rename-source", Some("x-ms-file-rename-source")),
            ("x-symlink-target", Some("x-symlink-target")),
            ("x-new-copy-source-range", None),
            ("x-new-copy-source-version-id", None),
            ("x-new-copy-source-if-none-match", None),
            ("x-new-copy-source-server-side-encryption-customer-key", None),
            ("x-remove-from", None),
            ("x-photocopy-source", None),
            ("x-traffic-source", None),
            ("x-forwarded-from", None),
            ("from", None),
            ("content-location", None),
        ] {
            let found = CopySource::of(&name.parse().unwrap()).map(|source| source.name);
            assert_eq!(found, known, "{name}");
        }
    }

    #[test]
    fn all_that_is_said_of_a_second_resource() {
        for (name, says) in [
            ("Destination", true),
            ("destination_account", true),
            ("If", true),
            ("x-copy-from-account", true),
            ("x-new-copy-source", true),
            ("if-match", false),
            ("Source", true),
            ("upload_concat", true),
            ("Upload-Metadata", true),
            ("upload_metadata", true),
            ("Slug", true),
            ("X-Amz-Meta-Snowball-Auto-Extract", true),
            ("x_amz_meta_snowball.auto_extract", true),
            ("X-Explode-Archive", true),
            ("x-amz-meta-snowball", false),
            ("upload-length", false),
            ("lock-token", false),
            ("x-amz-copy-source-if-match", false),
        ] {
            assert_eq!(names_second_resource(&name.parse().unwrap()), says, "{name}");
        }
    }
}
