//! Why a second resource of a request is refused.

use http::Method;

use super::second_resource::MOST_BYTES;
use crate::refusal::{Hint, Problem, Refusal};
use crate::route::BadPath;

/// Why a second resource is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum SecondResourceError {
    #[error("{0} names no URL of this host, or more than one")]
    Unreadable(&'static str),
    #[error("{0} is longer than {MOST_BYTES} bytes")]
    TooLong(&'static str),
    #[error("{0} names resources that can be read in too many ways together")]
    TooAmbiguous(&'static str),
    #[error("{0}: {1}")]
    BadPath(&'static str, BadPath),
    #[error("{0} names another host")]
    OtherHost(&'static str),
    #[error("{header} names {path}: {reason}")]
    Forbidden {
        header: &'static str,
        path: String,
        reason: String,
    },
    #[error("{method} on the route {route}, which is below, is for others")]
    Below { method: Method, route: String },
    #[error("what the application is asked for is also the route {0}'s, which is for others")]
    Shared(String),
}

impl From<SecondResourceError> for Refusal {
    fn from(error: SecondResourceError) -> Self {
        let (problem, hint) = match &error {
            SecondResourceError::Unreadable(header)
            | SecondResourceError::TooLong(header)
            | SecondResourceError::TooAmbiguous(header)
            | SecondResourceError::BadPath(header, _) => {
                (Problem::BadRequest, Hint::ReferenceUnreadable(header))
            }
            SecondResourceError::OtherHost(header) => (Problem::Forbidden, Hint::ReferenceElsewhere(header)),
            SecondResourceError::Forbidden { header, .. } => {
                (Problem::Forbidden, Hint::ReferenceForbidden(header))
            }
            SecondResourceError::Below { .. } => (Problem::Forbidden, Hint::BelowForbidden),
            SecondResourceError::Shared(_) => {
                return Self::because(Problem::Forbidden, error.to_string());
            }
        };
        Self::because(problem, error.to_string()).hinting(hint)
    }
}
