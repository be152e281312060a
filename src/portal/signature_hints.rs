//! The sentences that help whoever signs requests.

use super::renderer::PageRenderer;
use super::request_context::RequestContext;
use crate::refusal::Hint;
use crate::route::BadPath;
use crate::text::fill;

impl PageRenderer {
    /// A hint in the reader's language.
    pub(super) fn hint(&self, context: &RequestContext<'_>, hint: &Hint) -> String {
        let (key, value) = sentence(hint);
        let value = value.as_ref().map(|(name, value)| (*name, value.as_str()));
        fill(self.texts.get(context.lang, key), value.as_slice())
    }
}

/// The key of a hint's sentence, and what the sentence's placeholder stands for.
fn sentence(hint: &Hint) -> (&'static str, Option<(&'static str, String)>) {
    let seconds = |seconds: &u64| Some(("seconds", seconds.to_string()));
    let named = |header: &str| Some(("header", header.to_owned()));
    match hint {
        Hint::SecretKey => ("hint.secret-key", None),
        Hint::ClockBehind(by) => ("hint.clock-behind", seconds(by)),
        Hint::ClockAhead(by) => ("hint.clock-ahead", seconds(by)),
        Hint::Expired(ago) => ("hint.expired", seconds(ago)),
        Hint::NotSigned(part) => ("hint.not-signed", Some(("part", part.to_string()))),
        Hint::Missing(part) => ("hint.missing", Some(("part", part.to_string()))),
        Hint::Unreadable(reason) => ("hint.unreadable", Some(("reason", (*reason).to_owned()))),
        Hint::Path(reason) => (path_sentence(reason), None),
        Hint::ReferenceUnreadable(header) => ("hint.reference-unreadable", named(header)),
        Hint::ReferenceElsewhere(header) => ("hint.reference-elsewhere", named(header)),
        Hint::ReferenceForbidden(header) => ("hint.reference-forbidden", named(header)),
        Hint::BelowForbidden => ("hint.below-forbidden", None),
        Hint::SignatureVersion2 => ("hint.signature-too-old", None),
        Hint::Presigned => ("hint.presigned", None),
        Hint::BodyNotSigned => ("hint.body-not-signed", None),
        Hint::BodyDiffers => ("hint.body-differs", None),
        Hint::ChallengeStale => ("hint.challenge-stale", None),
        Hint::EmailTaken => ("hint.email-taken", None),
        Hint::PasswordFirst => ("hint.password-first", None),
        Hint::ChangedOften => ("hint.changed-often", None),
        Hint::KeyLimited => ("hint.key-limited", None),
    }
}

/// The key of the sentence that says why a path is refused.
fn path_sentence(reason: &BadPath) -> &'static str {
    match reason {
        BadPath::NotAPath => "hint.path-none",
        BadPath::DotSegment => "hint.path-dots",
        BadPath::Backslash => "hint.path-backslash",
        BadPath::Nul => "hint.path-nul",
        BadPath::Fragment => "hint.path-fragment",
        BadPath::EncodedSlash => "hint.path-encoded-slash",
        BadPath::Overlong => "hint.path-overlong",
        BadPath::TooDeep => "hint.path-too-deep",
        BadPath::TooAmbiguous => "hint.path-too-ambiguous",
        BadPath::Ambiguous(_) => "hint.path-ambiguous",
    }
}
