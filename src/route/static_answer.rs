//! Answers of routes without an application: a redirect, or a text.

use bytes::Bytes;
use http::header::{CONTENT_TYPE, LOCATION, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderValue, Method, Response, StatusCode};

use super::RouteError;
use crate::config::RouteConfig;

/// What the gateway answers itself on a route.
#[derive(Clone, Debug)]
pub enum StaticAnswer {
    /// A redirect to this URL.
    Redirect(HeaderValue),
    /// A text.
    Text {
        /// The status.
        status: StatusCode,
        /// The text.
        text: Bytes,
    },
}

impl StaticAnswer {
    /// Returns the answer of a route; `None` if it has an upstream.
    pub(super) fn of(route: &RouteConfig) -> Result<Option<Self>, RouteError> {
        let wrong = || RouteError::Answer(route.path.clone());
        if let Some(url) = &route.redirect {
            return Ok(Some(Self::Redirect(url.parse().map_err(|_| wrong())?)));
        }
        let Some(respond) = &route.respond else {
            return Ok(None);
        };
        Ok(Some(Self::Text {
            status: StatusCode::from_u16(respond.status).map_err(|_| wrong())?,
            text: respond.text.clone().into(),
        }))
    }

    /// Whether it is content, rather than a refusal or a redirect.
    pub fn is_content(&self) -> bool {
        matches!(self, Self::Text { status, .. } if status.is_success())
    }

    /// Returns the response to a request with this method.
    pub fn response(&self, method: &Method) -> Response<Bytes> {
        let mut response = Response::default();
        match self {
            Self::Redirect(url) => {
                *response.status_mut() = if matches!(*method, Method::GET | Method::HEAD) {
                    StatusCode::FOUND
                } else {
                    StatusCode::TEMPORARY_REDIRECT
                };
                response.headers_mut().insert(LOCATION, url.clone());
            }
            Self::Text { status, text } => {
                *response.status_mut() = *status;
                if !text.is_empty() {
                    let headers = response.headers_mut();
                    let kind = HeaderValue::from_static("text/plain; charset=utf-8");
                    headers.insert(CONTENT_TYPE, kind);
                    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
                    *response.body_mut() = text.clone();
                }
            }
        }
        response
    }
}
