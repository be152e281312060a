//! Taking everything out of a store and putting it into another, whatever either is made of.
//!
//! What goes from one to the other are [`Record`]s: what the gateway knows, not how a store keeps it. [`ExportFile`]
//! writes them down and [`RecordReader`] reads them: see there for the form of a file.

mod file;
mod reader;
mod record;
mod salvage;
mod serde_types;

use async_trait::async_trait;

pub use file::{Counts, ExportFile, Header, Summary};
pub use reader::{ReadError, RecordReader};
pub use record::{AddressMails, KeptFailures, KeptLock, NamesKey, Record, SpentSignature};
pub use salvage::{DamagedStore, Losses, Salvage};

use super::StoreError;

/// Taking everything out: a part of every [`Store`](super::Store).
#[async_trait]
pub trait PortableStore: Send + Sync + 'static {
    /// All records, as they are at one moment between this call and its return; what is written afterwards is not
    /// in it, and does not wait for it.
    async fn export(&self) -> Result<Box<dyn Export>, StoreError>;
}

/// Records on their way out.
#[async_trait]
pub trait Export: Send {
    /// The next records, some hundreds at most; none at the end.
    ///
    /// In the order of [`Record::KINDS`], so that none names another that comes later. After an error there is
    /// nothing more to be had.
    async fn next(&mut self) -> Result<Vec<Record>, StoreError>;
}

/// A new store that is being filled. It is no store until it is finished: dropped before, or killed, it is as if it had
/// never been begun.
#[async_trait]
pub trait Import: Send {
    /// Takes records, in the order in which an [`Export`] gives them. After an error nothing more is taken.
    async fn put(&mut self, records: Vec<Record>) -> Result<(), PutError>;

    /// Checks all that was put and makes it a store, as a whole; when this returns it is on disk.
    async fn finish(self: Box<Self>) -> Result<(), StoreError>;
}

/// Why records were not taken.
#[derive(Debug, thiserror::Error)]
pub enum PutError {
    /// One of them cannot be kept beside those before it.
    #[error("{why}")]
    Refused {
        /// Which of those that were handed over.
        index: usize,
        /// What is wrong with it.
        why: String,
    },
    /// The store cannot go on.
    #[error(transparent)]
    Store(#[from] StoreError),
}
