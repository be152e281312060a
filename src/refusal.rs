//! Refusals: why a request is not served, with separate parts for the client and for the log.

mod hint;
mod rate_limit;

use std::borrow::Cow;
use std::time::Duration;

use http::StatusCode;

pub use hint::Hint;
pub use rate_limit::{RateLimit, RateSubject};

/// A refusal of a request.
///
/// `problem`, `hint` and `retry_after` are sent to the client, `cause` is only logged.
#[derive(Debug)]
pub struct Refusal {
    /// The kind of refusal.
    pub problem: Problem,
    /// A more helpful sentence for the client than the usual one.
    pub hint: Option<Hint>,
    /// When the client may retry.
    pub retry_after: Option<Duration>,
    /// The cause, for the operator; never sent.
    pub cause: Option<Cow<'static, str>>,
}

/// `Retry-After` for [`Problem::Unavailable`], whose cause may be gone soon.
const UNAVAILABLE_FOR: Duration = Duration::from_secs(5);

impl Refusal {
    /// Creates a refusal without a cause. [`Problem::Unavailable`] may be retried soon.
    pub fn new(problem: Problem) -> Self {
        Self {
            problem,
            hint: None,
            retry_after: (problem == Problem::Unavailable).then_some(UNAVAILABLE_FOR),
            cause: None,
        }
    }

    /// Creates a refusal with a cause for the operator.
    pub fn because(problem: Problem, cause: impl Into<Cow<'static, str>>) -> Self {
        Self {
            cause: Some(cause.into()),
            ..Self::new(problem)
        }
    }

    /// Adds a hint.
    #[must_use]
    pub fn hinting(mut self, hint: Hint) -> Self {
        self.hint = Some(hint);
        self
    }

    /// Sets the time after which to retry.
    #[must_use]
    pub fn retry_after(mut self, wait: Duration) -> Self {
        self.retry_after = Some(wait);
        self
    }
}

macro_rules! problems {
    ($($(#[$doc:meta])* $name:ident = $slug:literal $status:ident,)+) => {
        /// The kinds of refusal, each with a page at `/.auth/problems/<slug>`.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Problem {
            $($(#[$doc])* $name,)+
        }

        impl Problem {
            /// All kinds.
            pub const ALL: &[Self] = &[$(Self::$name,)+];

            /// Returns its name in `type`, in URLs and in logs.
            pub fn slug(self) -> &'static str {
                match self {
                    $(Self::$name => $slug,)+
                }
            }

            /// Returns the status of its response.
            pub fn status(self) -> StatusCode {
                match self {
                    $(Self::$name => StatusCode::$status,)+
                }
            }
        }
    };
}

problems! {
    /// Wrong name or password; does not tell which.
    InvalidCredentials = "invalid-credentials" UNAUTHORIZED,
    /// The route requires authentication.
    NotAuthenticated = "not-authenticated" UNAUTHORIZED,
    /// Correct password, but the e-mail address is not verified.
    NotVerified = "not-verified" UNAUTHORIZED,
    /// Correct password, but the account awaits approval.
    NotApproved = "not-approved" UNAUTHORIZED,
    /// Correct password, but the account is disabled.
    AccountDisabled = "account-disabled" UNAUTHORIZED,
    /// An invalid signature.
    SignatureInvalid = "signature-invalid" UNAUTHORIZED,
    /// A signature made too long ago, or in the future.
    ClockSkew = "clock-skew" UNAUTHORIZED,
    /// A single-use signature that was used before.
    Replayed = "replayed" UNAUTHORIZED,
    /// Authenticated, but not authorized.
    Forbidden = "forbidden" FORBIDDEN,
    /// Another site caused the request.
    CrossOrigin = "cross-origin" FORBIDDEN,
    /// Too many failures for this account name.
    Locked = "locked" TOO_MANY_REQUESTS,
    /// Too many failures from this client address.
    RateLimited = "rate-limited" TOO_MANY_REQUESTS,
    /// A form with errors.
    InvalidInput = "invalid-input" UNPROCESSABLE_ENTITY,
    /// A link that was used, has expired or is wrong.
    InvalidToken = "invalid-token" BAD_REQUEST,
    /// A malformed or ambiguous request.
    BadRequest = "bad-request" BAD_REQUEST,
    /// No such page or route.
    NotFound = "not-found" NOT_FOUND,
    /// Sign-up is disabled.
    SignupClosed = "signup-closed" NOT_FOUND,
    /// Password reset is disabled.
    ResetDisabled = "reset-disabled" NOT_FOUND,
    /// Access keys are disabled.
    IamDisabled = "iam-disabled" NOT_FOUND,
    /// Method not allowed.
    MethodNotAllowed = "method-not-allowed" METHOD_NOT_ALLOWED,
    /// The resource was changed since the version that the request is based on.
    Conflict = "conflict" CONFLICT,
    /// Content that is too large.
    TooLarge = "too-large" PAYLOAD_TOO_LARGE,
    /// A head with too many fields.
    HeadTooLarge = "head-too-large" REQUEST_HEADER_FIELDS_TOO_LARGE,
    /// The connection was opened for another host.
    Misdirected = "misdirected" MISDIRECTED_REQUEST,
    /// A transfer coding that is not supported.
    NotImplemented = "not-implemented" NOT_IMPLEMENTED,
    /// The gateway cannot decide at the moment.
    Unavailable = "unavailable" SERVICE_UNAVAILABLE,
    /// The upstream cannot be reached.
    UpstreamUnreachable = "upstream-unreachable" BAD_GATEWAY,
    /// The upstream timed out.
    UpstreamTimeout = "upstream-timeout" GATEWAY_TIMEOUT,
}
