//! The port through which a page learns of past requests, which the stages before it know.

use std::fmt;

use async_trait::async_trait;

use crate::api::RequestReport;
use crate::services::StoreError;

/// Finds what happened to past requests.
#[async_trait]
pub trait RequestLookup: fmt::Debug + Send + Sync {
    /// Reports on the request with this id; the report is empty if nothing is known of it.
    async fn find(&self, id: &str) -> Result<RequestReport, StoreError>;
}
