//! Recognises headers that have an object store unpack an archive where a request uploads it (S75).

use http::HeaderName;

use super::reads_as;

/// Those of S3's batches of small files, which `MinIO` and others unpack, and those of Artifactory.
const UNPACKS: [&str; 3] = [
    "x-amz-meta-snowball-auto-extract",
    "x-explode-archive",
    "x-explode-archive-atomic",
];

/// Returns the name of the header that this one is read as, if a store unpacks what is uploaded with it.
pub fn unpacks_archive(name: &HeaderName) -> Option<&'static str> {
    UNPACKS.into_iter().find(|known| reads_as(name, known))
}
