//! Why a request is not served: what the client may know, and what only the log may.

mod hint;

use std::borrow::Cow;
use std::time::Duration;

use http::StatusCode;

pub use hint::Hint;

/// A refusal on its way to the client.
///
/// Fields for two readers: `problem`, `hint` and `retry_after` are said to the client, `cause` to the log.
#[derive(Debug)]
pub struct Refusal {
    /// What the client is told.
    pub problem: Problem,
    /// What it is told instead of the usual sentence, where that helps.
    pub hint: Option<Hint>,
    /// When trying again makes sense.
    pub retry_after: Option<Duration>,
    /// What the operator reads; never sent.
    pub cause: Option<Cow<'static, str>>,
}

/// After how long it makes sense to ask again for what is unavailable: whatever ails may be over.
const UNAVAILABLE_FOR: Duration = Duration::from_secs(5);

impl Refusal {
    /// A refusal that needs no explanation to the operator. What is unavailable is worth another try soon.
    pub fn new(problem: Problem) -> Self {
        Self {
            problem,
            hint: None,
            retry_after: (problem == Problem::Unavailable).then_some(UNAVAILABLE_FOR),
            cause: None,
        }
    }

    /// The same, with what the operator should know.
    pub fn because(problem: Problem, cause: impl Into<Cow<'static, str>>) -> Self {
        Self {
            cause: Some(cause.into()),
            ..Self::new(problem)
        }
    }

    /// The same, with a sentence that helps.
    #[must_use]
    pub fn hinting(mut self, hint: Hint) -> Self {
        self.hint = Some(hint);
        self
    }

    /// The same, with the time after which to try again.
    #[must_use]
    pub fn retry_after(mut self, wait: Duration) -> Self {
        self.retry_after = Some(wait);
        self
    }
}

macro_rules! problems {
    ($($(#[$doc:meta])* $name:ident = $slug:literal $status:ident,)+) => {
        /// The kinds of refusal, each with a page of its own at `/.auth/problems/<slug>`.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Problem {
            $($(#[$doc])* $name,)+
        }

        impl Problem {
            /// Every kind.
            pub const ALL: &[Self] = &[$(Self::$name,)+];

            /// Its name in `type`, in URLs and in the record.
            pub fn slug(self) -> &'static str {
                match self {
                    $(Self::$name => $slug,)+
                }
            }

            /// The status that it is answered with.
            pub fn status(self) -> StatusCode {
                match self {
                    $(Self::$name => StatusCode::$status,)+
                }
            }
        }
    };
}

problems! {
    /// Wrong name or password, all alike.
    InvalidCredentials = "invalid-credentials" UNAUTHORIZED,
    /// Nobody is signed in and the route wants somebody.
    NotAuthenticated = "not-authenticated" UNAUTHORIZED,
    /// The right password of an account whose address is not verified yet.
    NotVerified = "not-verified" UNAUTHORIZED,
    /// The right password of an account that waits for approval.
    NotApproved = "not-approved" UNAUTHORIZED,
    /// The right password of an account that is disabled.
    AccountDisabled = "account-disabled" UNAUTHORIZED,
    /// A signature that does not verify.
    SignatureInvalid = "signature-invalid" UNAUTHORIZED,
    /// A signature made too long ago, or in the future.
    ClockSkew = "clock-skew" UNAUTHORIZED,
    /// A signature that served already.
    Replayed = "replayed" UNAUTHORIZED,
    /// Signed in, but not let in.
    Forbidden = "forbidden" FORBIDDEN,
    /// Another site caused this request.
    CrossOrigin = "cross-origin" FORBIDDEN,
    /// Too many failures for this name.
    Locked = "locked" TOO_MANY_REQUESTS,
    /// Too many failures from this address.
    RateLimited = "rate-limited" TOO_MANY_REQUESTS,
    /// A form with mistakes.
    InvalidInput = "invalid-input" UNPROCESSABLE_ENTITY,
    /// A link that is spent, expired or wrong.
    InvalidToken = "invalid-token" BAD_REQUEST,
    /// Not a request that can be understood safely.
    BadRequest = "bad-request" BAD_REQUEST,
    /// Nothing here.
    NotFound = "not-found" NOT_FOUND,
    /// Signup is switched off.
    SignupClosed = "signup-closed" NOT_FOUND,
    /// Password reset is switched off.
    ResetDisabled = "reset-disabled" NOT_FOUND,
    /// IAM is switched off.
    IamDisabled = "iam-disabled" NOT_FOUND,
    /// Not with this method.
    MethodNotAllowed = "method-not-allowed" METHOD_NOT_ALLOWED,
    /// Decided by a version of something that was changed meanwhile.
    Conflict = "conflict" CONFLICT,
    /// Larger than the gateway takes.
    TooLarge = "too-large" PAYLOAD_TOO_LARGE,
    /// A head with more fields than the gateway takes.
    HeadTooLarge = "head-too-large" REQUEST_HEADER_FIELDS_TOO_LARGE,
    /// Sent over a connection that was opened for another host.
    Misdirected = "misdirected" MISDIRECTED_REQUEST,
    /// A body in a coding that the gateway does not know.
    NotImplemented = "not-implemented" NOT_IMPLEMENTED,
    /// The gateway cannot decide right now.
    Unavailable = "unavailable" SERVICE_UNAVAILABLE,
    /// The application does not answer.
    UpstreamUnreachable = "upstream-unreachable" BAD_GATEWAY,
    /// The application takes too long.
    UpstreamTimeout = "upstream-timeout" GATEWAY_TIMEOUT,
}
