//! A wrong proof, as it is told.

use super::Lapse;
use super::signature::SignatureError;
use crate::refusal::{Hint, Problem, Refusal};
use crate::services::AccessKeyAuthError;

impl From<SignatureError> for Refusal {
    /// What helps whoever signs is said. Whether a key exists is not: to be unknown, to be disabled, to be wrong and to
    /// come with another proof are one refusal (S37).
    fn from(error: SignatureError) -> Self {
        let (problem, hint) = match &error {
            SignatureError::Mismatch | SignatureError::Several => (Problem::SignatureInvalid, None),
            SignatureError::Malformed(reason) => (Problem::SignatureInvalid, Some(Hint::Unreadable(reason))),
            SignatureError::NotSigned(part) => {
                (Problem::SignatureInvalid, Some(Hint::NotSigned(part.clone())))
            }
            SignatureError::Missing(part) => (Problem::SignatureInvalid, Some(Hint::Missing(part.clone()))),
            SignatureError::Version2 => (Problem::SignatureInvalid, Some(Hint::SignatureVersion2)),
            SignatureError::Presigned => (Problem::SignatureInvalid, Some(Hint::Presigned)),
            SignatureError::BodyNotSigned => (Problem::SignatureInvalid, Some(Hint::BodyNotSigned)),
            SignatureError::BodyDiffers => (Problem::SignatureInvalid, Some(Hint::BodyDiffers)),
            SignatureError::Clock(age) if *age < 0 => {
                (Problem::ClockSkew, Some(Hint::ClockAhead(age.unsigned_abs())))
            }
            SignatureError::Clock(age) => (Problem::ClockSkew, Some(Hint::ClockBehind(age.unsigned_abs()))),
            SignatureError::Expired(ago) => (Problem::ClockSkew, Some(Hint::Expired(ago.unsigned_abs()))),
        };
        Self {
            hint,
            ..Self::because(problem, error.to_string())
        }
    }
}

impl From<Lapse> for Refusal {
    fn from(lapse: Lapse) -> Self {
        let problem = match lapse {
            Lapse::Ended => Problem::NotAuthenticated,
            Lapse::GroupLeft => Problem::Forbidden,
        };
        Self::because(problem, lapse.to_string())
    }
}

impl From<AccessKeyAuthError> for Refusal {
    fn from(refusal: AccessKeyAuthError) -> Self {
        let cause = refusal.to_string();
        match refusal {
            AccessKeyAuthError::Invalid => {
                Self::because(Problem::InvalidCredentials, cause).hinting(Hint::SecretKey)
            }
            AccessKeyAuthError::Locked(wait) => Self::because(Problem::Locked, cause).retry_after(wait),
            AccessKeyAuthError::RateLimited(wait) => {
                Self::because(Problem::RateLimited, cause).retry_after(wait)
            }
            AccessKeyAuthError::Store(_) => Self::because(Problem::Unavailable, cause),
        }
    }
}
