//! Export and import: moving all records from one store to another of any kind.
//!
//! They travel as [`Record`]s, which do not depend on the store. [`ExportWriter`] writes them to a file and
//! [`ExportReader`] reads it; `file` describes the format.

mod file;
mod reader;
mod record;
mod salvage;
mod serde_types;

use async_trait::async_trait;

pub use file::{Counts, ExportWriter, Header, Summary};
pub use reader::{ExportReader, ReadError};
pub use record::{
    AddressMails, ExportedFailures, ExportedLock, NamesKey, Record, RecordKind, SpentSignature,
};
pub use salvage::{DamagedStore, Losses, Salvage};

use super::StoreError;

/// Export: a part of [`Store`](super::Store).
#[async_trait]
pub trait PortableStore: Send + Sync + 'static {
    /// Begins an export of all records as of one moment during this call. Writers do not wait for it.
    async fn export(&self) -> Result<Box<dyn Export>, StoreError>;
}

/// A running export.
#[async_trait]
pub trait Export: Send {
    /// Returns the next records, some hundreds at most; empty at the end.
    ///
    /// In the order of [`RecordKind::ALL`], so that no record refers to a later one. After an error the export
    /// is over.
    async fn next(&mut self) -> Result<Vec<Record>, StoreError>;
}

/// An import into a new store. Until it is finished there is no store: dropping it, or a crash, undoes it.
#[async_trait]
pub trait Import: Send {
    /// Inserts records, in the order of an [`Export`]. After an error the import is over.
    async fn put(&mut self, records: Vec<Record>) -> Result<(), PutError>;

    /// Verifies all records and makes them a store, atomically; durable when it returns.
    async fn finish(self: Box<Self>) -> Result<(), StoreError>;
}

/// Why records were not inserted.
#[derive(Debug, thiserror::Error)]
pub enum PutError {
    /// A record conflicts with those before it.
    #[error("{why}")]
    Refused {
        /// The index of the record in the call.
        index: usize,
        /// What is wrong with it.
        why: String,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}
