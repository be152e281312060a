//! AWS Signature Version 2: recognised, so that its clients are told what to use instead, and never accepted.

use crate::model::AccessKeyId;

/// Its scheme in `Authorization`: `AWS KEY:SIGNATURE`.
pub const SCHEME: &str = "AWS";

/// Whether what follows the scheme names an access key.
pub fn names_key(parameters: &[u8]) -> bool {
    let key = parameters.trim_ascii_start().split(|byte| *byte == b':').next();
    key.is_some_and(|key| AccessKeyId::parse(key).is_ok())
}

/// Whether a query has such a signature by a key of ours.
pub fn is_in(query: &str, is_ours: impl Fn(&str) -> bool) -> bool {
    let value = |wanted: &str| {
        let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
        pairs
            .into_iter()
            .find(|(name, _)| *name == wanted)
            .map(|(_, value)| value)
    };
    value("AWSAccessKeyId").is_some_and(is_ours) && value("Signature").is_some()
}
