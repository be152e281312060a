//! What a request says about itself and where it came from. Pure: nothing here knows an account or a route.

mod client_address;
mod copy_source;
mod head;
mod header_name;
mod host;
mod id;
mod network;
mod origin;

pub use client_address::ClientAddress;
pub use copy_source::{CopySource, Extent, SourceForm, names_second_resource};
pub use head::RequestHead;
pub use header_name::{fold, is_plain, reads_as};
pub use host::{Host, HostError, port_of};
pub use id::{RequestId, RequestIds, X_REQUEST_ID};
pub use network::Network;
pub use origin::{CrossOrigin, require_same_origin};
