//! The context of a page's `get` and `post`, and their result.

use std::ops::Deref;

use bytes::Bytes;
use http::Response;

use super::Visitor;
use super::request_context::RequestContext;
use super::request_lookup::RequestLookup;
use super::signed_in::{SignedInRequest, SignedInUser};
use crate::refusal::{Problem, Refusal};
use crate::services::{AuditError, PreconditionError, Services, StoreError};

/// A request for a page, with the services. Functions that render need only the request.
#[derive(Clone, Copy, Debug)]
pub(super) struct PageContext<'a, R = RequestContext<'a>> {
    pub(super) request: R,
    pub(super) services: &'a Services,
    pub(super) requests: &'a dyn RequestLookup,
    pub(super) visitor: Visitor<'a>,
}

/// The context of a page for signed-in users.
pub(super) type SignedInContext<'a> = PageContext<'a, SignedInRequest<'a>>;

impl<R> Deref for PageContext<'_, R> {
    type Target = R;

    fn deref(&self) -> &R {
        &self.request
    }
}

impl<'a> PageContext<'a> {
    /// Requires a signed-in user. The route's policy admits no other; this also refuses a request that an
    /// access key alone authenticates.
    pub(super) fn signed_in(&self) -> Result<SignedInContext<'a>, Refusal> {
        let Visitor {
            principal: Some(principal),
            session: Some(session),
        } = self.visitor
        else {
            return Err(Refusal::new(Problem::NotAuthenticated));
        };
        let user = SignedInUser { principal, session };
        Ok(PageContext {
            request: SignedInRequest {
                request: self.request,
                user,
            },
            services: self.services,
            requests: self.requests,
            visitor: self.visitor,
        })
    }
}

/// The result of a page.
pub(super) type PageResult = Result<Response<Bytes>, PageError>;

/// Why a page ends early.
#[derive(Debug)]
pub(super) enum PageError {
    Refused(Refusal),
    /// With another response, such as a form that has to come first.
    Answered(Box<Response<Bytes>>),
}

impl PageError {
    pub(super) fn into_response(self, request: &RequestContext<'_>) -> Response<Bytes> {
        match self {
            Self::Refused(refusal) => request.refuse(&refusal),
            Self::Answered(response) => *response,
        }
    }
}

impl From<Refusal> for PageError {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<Problem> for PageError {
    fn from(problem: Problem) -> Self {
        Self::Refused(Refusal::new(problem))
    }
}

impl From<StoreError> for PageError {
    fn from(error: StoreError) -> Self {
        Self::Refused(refusal_of_store(&error))
    }
}

impl From<AuditError> for PageError {
    fn from(error: AuditError) -> Self {
        Self::Refused(unavailable(error.to_string()))
    }
}

/// The refusal for an error of the store: 401 or 403 if the actor has lost the right, 422 for a cursor, else 503.
pub(super) fn refusal_of_store(error: &StoreError) -> Refusal {
    let problem = match error {
        StoreError::Precondition(PreconditionError::NotMember) => Problem::Forbidden,
        StoreError::Precondition(
            PreconditionError::AccountInactive
            | PreconditionError::SessionEnded
            | PreconditionError::PasswordChanged,
        ) => Problem::NotAuthenticated,
        StoreError::UnknownCursor => Problem::InvalidInput,
        StoreError::Unavailable(_)
        | StoreError::OutcomeUnknown(_)
        | StoreError::Corrupt(_)
        | StoreError::Refused(_)
        | StoreError::Superseded(_) => {
            return unavailable(error.to_string());
        }
    };
    Refusal::because(problem, error.to_string())
}

/// A refusal with 503, logged here.
pub(super) fn unavailable(cause: String) -> Refusal {
    tracing::warn!(%cause, "a page could not be served");
    Refusal::because(Problem::Unavailable, cause)
}
