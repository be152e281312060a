//! Policy for uploads that a store unpacks (S75), as headers such as `X-Amz-Meta-Snowball-Auto-Extract` ask for.
//!
//! The names in the archive, and headers with a prefix for them, tell where its members go, so they are written
//! anywhere in the bucket.

use http::Method;

use super::second_resource::SecondResourcePolicy;
use super::second_resource_error::SecondResourceError;
use crate::request::{CopySource, Extent, SourceForm, unpacks_archive};

impl SecondResourcePolicy<'_> {
    /// Requires that the principal may write everywhere in the bucket, if the upload may be unpacked. The host may be
    /// that of the bucket, or the bucket lie below a base path, so all of this host counts.
    pub(super) fn require_archive(&self) -> Result<(), SecondResourceError> {
        let Some(header) = self.head.headers.keys().find_map(unpacks_archive) else {
            return Ok(());
        };
        let (routes, host) = (&self.gateway.routes, self.head.host);
        let root = self.read("/", header)?;
        self.require_open(routes.at_any_reading(host, &root, &Method::PUT), &Method::PUT)?;
        self.require_below("/", &Method::PUT, header)?;
        let mut patterns = routes.host_patterns().iter();
        if patterns.any(|pattern| pattern.exact() != Some(host)) {
            self.require_bucket_on_other_hosts(header)?;
        }
        Ok(())
    }

    /// The bucket is one segment of the path, or the beginning of the host.
    fn require_bucket_on_other_hosts(&self, header: &'static str) -> Result<(), SecondResourceError> {
        const METHODS: &[Method] = &[Method::PUT];
        let bucket = CopySource {
            name: header,
            form: SourceForm::Bucket,
            methods: METHODS,
            extent: Extent::Below,
            on_target: &[],
            is_destination: false,
        };
        let target = self.target_path();
        let host = self.head.host.as_str();
        let in_host = host.match_indices('.').map(|(dot, _)| &host[..dot]);
        for name in target.segments().into_iter().chain(in_host) {
            self.require_bucket_beside(&bucket, METHODS, &format!("{name}/"), target)?;
        }
        Ok(())
    }
}
