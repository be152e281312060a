//! Recognises AWS Signature Version 2, to name the alternative in the refusal; never accepts it.

use crate::model::AccessKeyId;

/// Its scheme in `Authorization`: `AWS KEY:SIGNATURE`.
pub const SCHEME: &str = "AWS";

/// Whether what follows the scheme begins with an access key id.
pub fn names_key(parameters: &[u8]) -> bool {
    let key = parameters.trim_ascii_start().split(|byte| *byte == b':').next();
    key.is_some_and(|key| AccessKeyId::parse(key).is_ok())
}

/// Whether a query has such a signature by an access key.
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
