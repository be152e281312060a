//! Recognises headers that have a request of one account act for another one.

use http::HeaderName;

use super::{after_letters, reads_as, words};

/// Words of the names of headers that have a request of one account act for another one, where the first may do so, written
/// without the signs between words: `X-On-Behalf-Of`, `es-security-runas-user`.
const ACTS_FOR_OTHERS_WORDS: [&str; 13] = [
    "actas",
    "actingas",
    "assumeuser",
    "callerobjectid",
    "doas",
    "impersonat",
    "onbehalf",
    "originaluser",
    "proxiedentit",
    "runas",
    "selectuser",
    "sudo",
    "switchuser",
];

/// Such headers whose names do not say so.
const ACTS_FOR_OTHERS: [&str; 5] = [
    "api-username",
    "from",
    "mscrmcallerid",
    "x-presto-user",
    "x-trino-user",
];

/// Whether an application may take the user from this header if the request's credential is one that may act for others.
pub fn acts_for_others(name: &HeaderName) -> bool {
    let says_so = |words: &[u8]| {
        ACTS_FOR_OTHERS_WORDS
            .iter()
            .any(|known| after_letters(words, known).is_some())
    };
    words(name).any(says_so) || ACTS_FOR_OTHERS.iter().any(|known| reads_as(name, known))
}
