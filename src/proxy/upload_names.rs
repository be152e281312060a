//! What uploads name beside their target (S75): the parts of which tus makes one, in `Upload-Concat`, the file that it is to
//! be, in `Upload-Metadata`, and the member of a collection that `Slug` asks for (RFC 5023, section 9.7).

use std::collections::BTreeSet;
use std::iter;

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use http::{HeaderName, Method};
use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};

use super::second_resource::{SecondResourcePolicy, only};
use super::second_resource_error::SecondResourceError;
use super::source_readings::SourceReading;
use crate::request::{is_plain, reads_as};
use crate::route::{RouteMatch, Unroutable};

const UPLOAD_CONCAT: HeaderName = HeaderName::from_static("upload-concat");
const SLUG: HeaderName = HeaderName::from_static("slug");
const UPLOAD_METADATA: HeaderName = HeaderName::from_static("upload-metadata");

/// How the keys of metadata end, in letters and digits alone, whose values name a file.
const NAMES: [&str; 9] = [
    "dest",
    "destination",
    "file",
    "filekey",
    "location",
    "name",
    "objectkey",
    "path",
    "target",
];

/// A key that names a file as a whole; others that end so, such as `apiKey`, hold anything.
const KEY: &str = "key";

/// How they end if their values name a folder in which the file lies.
const FOLDERS: [&str; 8] = [
    "bucket",
    "bucketname",
    "dir",
    "directory",
    "folder",
    "parent",
    "path",
    "prefix",
];

/// Most names of either kind in the metadata of an upload. Each is judged in all that it can mean, and in every one or two
/// folders.
const MOST_NAMES: usize = 6;

/// Most places that one name can mean: the request's collection, and those above it.
const MOST_PLACES: usize = 16;

/// Accepts missing padding, as most servers do.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// What a path has percent-encoded, and what begins a query or a fragment.
const NOT_IN_PATH: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'%')
    .add(b'<')
    .add(b'>')
    .add(b'?')
    .add(b'\\')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}');

impl SecondResourcePolicy<'_> {
    /// Judges the parts that an upload is made of, as they are read, the names in its metadata, and the member that a POST
    /// asks for.
    pub(super) fn require_upload_names(&self) -> Result<(), SecondResourceError> {
        if let Some(parts) = self.named_by(&UPLOAD_CONCAT, "Upload-Concat")? {
            self.require_parts(parts)?;
        }
        if let Some(metadata) = self.named_by(&UPLOAD_METADATA, "Upload-Metadata")? {
            self.require_names_in_metadata(metadata)?;
        }
        if let Some(slug) = self.named_by(&SLUG, "Slug")?
            && self.gateway.may_mean(self.head, self.own, self.permit, "POST")
        {
            self.require_member(slug)?;
        }
        Ok(())
    }

    /// The value of a header that is there at most once, in its one spelling.
    pub(super) fn named_by(
        &self,
        known: &HeaderName,
        shown: &'static str,
    ) -> Result<Option<&str>, SecondResourceError> {
        let headers = self.head.headers;
        let mut names = headers.keys().filter(|name| reads_as(name, known.as_str()));
        if names.any(|name| !is_plain(name)) {
            return Err(SecondResourceError::Unreadable(shown));
        }
        only(headers, known, shown)
    }

    /// Judges `final;` and URLs. Some servers look for a part below the request's own path, by the last segment alone.
    fn require_parts(&self, value: &str) -> Result<(), SecondResourceError> {
        const HEADER: &str = "Upload-Concat";
        if value == "partial" {
            return Ok(());
        }
        let urls = value.strip_prefix("final;");
        let urls = urls.ok_or(SecondResourceError::Unreadable(HEADER))?;
        let base = self.target.trim_end_matches('/');
        let urls: BTreeSet<&str> = urls.split_ascii_whitespace().collect();
        for url in urls {
            let last = url.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
            let readings = [(url.to_owned(), false), (format!("{base}/{last}"), true)];
            let readings = readings.map(|(text, is_lenient)| SourceReading { text, is_lenient });
            for reading in &readings {
                self.require_part(reading, HEADER)?;
            }
        }
        Ok(())
    }

    /// Judges a part as it is read; where no route takes GET, by the method of the request, as what may be sent may be
    /// joined.
    pub(super) fn require_part(
        &self,
        reading: &SourceReading,
        header: &'static str,
    ) -> Result<(), SecondResourceError> {
        let Some((_, path)) = self.meant(reading, &Method::GET, header)? else {
            return Ok(());
        };
        let method = match self.find(&path, &Method::GET) {
            Err(Unroutable::MethodNotAllowed(_)) => self.head.method,
            _ => &Method::GET,
        };
        self.require_second(&path, method, header).map(drop)
    }

    /// Judges the names in the metadata of an upload, and those that one or two folders and a file make together, like the
    /// name of a member. Servers store uploads under them, or under names of their own.
    fn require_names_in_metadata(&self, metadata: &str) -> Result<(), SecondResourceError> {
        const HEADER: &str = "Upload-Metadata";
        let UploadNames { folders, files } =
            UploadNames::read(metadata).ok_or(SecondResourceError::Unreadable(HEADER))?;
        if folders.len().max(files.len()) > MOST_NAMES {
            return Err(SecondResourceError::TooAmbiguous(HEADER));
        }
        for name in folders.iter().chain(&files) {
            self.require_member_of_name(name, HEADER)?;
        }
        for (outer, folder) in folders.iter().enumerate() {
            for file in &files {
                self.require_member_of_name(&joined(folder, file), HEADER)?;
            }
            for (inner, other) in folders.iter().enumerate() {
                if inner == outer {
                    continue;
                }
                let both = joined(folder, other);
                self.require_member_of_name(&both, HEADER)?;
                for file in &files {
                    self.require_member_of_name(&joined(&both, file), HEADER)?;
                }
            }
        }
        Ok(())
    }

    /// Judges the places in the collection, and from the root on, that the name of a member can mean, decoded as the
    /// standard has it. Servers make of it what they like: most replace all that is not plain, some take it as it is.
    fn require_member(&self, slug: &str) -> Result<(), SecondResourceError> {
        const HEADER: &str = "Slug";
        let slug = percent_decode_str(slug).decode_utf8().ok();
        // An encoded word of mail (RFC 2047), which some libraries decode in every header.
        let slug = slug.filter(|slug| !slug.contains("=?"));
        let slug = slug.ok_or(SecondResourceError::Unreadable(HEADER))?;
        // As a quoted string, which it is not, it is read too: up to the next quote.
        let unquoted = slug.strip_prefix('"').and_then(|slug| slug.split('"').next());
        for name in iter::once(slug.as_ref()).chain(unquoted) {
            self.require_member_of_name(name, HEADER)?;
        }
        Ok(())
    }

    fn require_member_of_name(&self, slug: &str, header: &'static str) -> Result<(), SecondResourceError> {
        if slug.is_empty() {
            return Ok(());
        }
        let name = utf8_percent_encode(slug.trim_start_matches('/'), NOT_IN_PATH).to_string();
        let as_sent = utf8_percent_encode(slug, NOT_IN_PATH).to_string();
        let collection = self.target.trim_end_matches('/');
        // Where uploads are served is often above where they are sent to.
        let above = collection.match_indices('/').map(|(end, _)| &collection[..end]);
        let places = above.chain([collection]).map(|folder| format!("{folder}/{name}"));
        let places: BTreeSet<String> = places
            .chain(as_sent.starts_with('/').then_some(as_sent))
            .collect();
        if places.len() > MOST_PLACES {
            return Err(SecondResourceError::TooAmbiguous(header));
        }
        let readings = places.into_iter().map(|text| SourceReading {
            text,
            is_lenient: true,
        });
        for reading in readings {
            for method in [self.head.method, &Method::PUT] {
                let Some((_, path)) = self.meant(&reading, method, header)? else {
                    continue;
                };
                match self.find(&path, method) {
                    // What the request's own route takes was judged with the request, what no route takes by this
                    // method is written by POST to the collection alone, and where there is no route nobody gets.
                    Ok(RouteMatch::Route(route)) if std::ptr::eq(route, self.own) => {}
                    Err(Unroutable::MethodNotAllowed(_) | Unroutable::NotFound) => {}
                    _ => self.require_second(&path, method, header).map(drop)?,
                }
            }
        }
        Ok(())
    }
}

/// Returns the name of what lies in a folder, with one slash between them.
fn joined(folder: &str, name: &str) -> String {
    let folder = folder.trim_end_matches('/');
    let separator = if name.starts_with('/') { "" } else { "/" };
    format!("{folder}{separator}{name}")
}

/// The names in the value of `Upload-Metadata`.
#[derive(Debug, Default, PartialEq, Eq)]
struct UploadNames {
    /// One for each key, as two of the same name may be one in the other.
    folders: Vec<String>,
    files: BTreeSet<String>,
}

impl UploadNames {
    /// Reads `key value` pairs between commas, of which the values are in base64; `None` where servers may read another name
    /// or none. What other keys say, such as the type of the file, is not looked at.
    fn read(metadata: &str) -> Option<Self> {
        let mut names = Self::default();
        for pair in metadata.split(',') {
            let mut words = pair.split_ascii_whitespace();
            let Some(key) = words.next() else { continue };
            let value = words.next().unwrap_or_default();
            if words.next().is_some() {
                return None;
            }
            let key: String = key
                .chars()
                .filter(char::is_ascii_alphanumeric)
                .map(|letter| letter.to_ascii_lowercase())
                .collect();
            let is_any_of = |ends: &[&str]| ends.iter().any(|end| key.ends_with(end));
            let (names_folder, names_file) = (is_any_of(&FOLDERS), key == KEY || is_any_of(&NAMES));
            if !names_folder && !names_file {
                continue;
            }
            let name = String::from_utf8(BASE64.decode(value).ok()?).ok()?;
            if names_folder {
                names.folders.push(name.clone());
            }
            if names_file {
                names.files.insert(name);
            }
        }
        Some(names)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_slash_is_between_a_folder_and_what_lies_in_it() {
        for (folder, name) in [("a", "x"), ("a/", "x"), ("a//", "/x"), ("a", "/x")] {
            assert_eq!(joined(folder, name), "a/x", "{folder} {name}");
        }
        assert_eq!(joined("/", "x"), "/x");
    }

    #[test]
    fn s75_the_names_in_the_metadata_of_an_upload() {
        let owned = |name: &&str| (*name).to_owned();
        let names = |folders: &[&str], files: &[&str]| {
            Some(UploadNames {
                folders: folders.iter().map(owned).collect(),
                files: files.iter().map(owned).collect(),
            })
        };
        for (metadata, found) in [
            ("", names(&[], &[])),
            ("filename YWRtaW4veA==", names(&[], &["admin/x"])),
            ("filename YWRtaW4veA", names(&[], &["admin/x"])),
            ("filename Li4vYWRtaW4veA==", names(&[], &["../admin/x"])),
            (
                "filename cGhvdG8uanBn,filetype aW1hZ2UvcG5n",
                names(&[], &["photo.jpg"]),
            ),
            (
                "is_confidential, Name cGhvdG8uanBn ,dir YWRtaW4=",
                names(&["admin"], &["photo.jpg"]),
            ),
            ("relativePath YWRtaW4veA==", names(&["admin/x"], &["admin/x"])),
            ("relative_path YWRtaW4veA==", names(&["admin/x"], &["admin/x"])),
            ("file~name YWRtaW4veA==", names(&[], &["admin/x"])),
            ("dir YQ==,folder YQ==,Key eA==", names(&["a", "a"], &["x"])),
            ("objectKey eA==,file_key eQ==", names(&[], &["x", "y"])),
            ("apiKey /w==,publicKey /w==,encryptionKey !", names(&[], &[])),
            ("filename", names(&[], &[""])),
            ("filetype !", names(&[], &[])),
            ("filename !", None),
            ("filename /w==", None),
            ("filename YWRt aW4veA==", None),
            ("filename YWRtaW4veA==\u{a0}", None),
            ("filename YWRtaW4_eA==", None),
            ("filename =YWRtaW4veA", None),
        ] {
            assert_eq!(UploadNames::read(metadata), found, "{metadata}");
        }
    }
}
