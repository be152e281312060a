//! The row of the store's metadata.

use super::data_dir::DataDir;
use super::engine::Engine;
use super::record::{Meta, StoredRecord};
use super::rows::Rows;
use super::schema;
use crate::random::Random;
use crate::store::StoreError;

/// Loads the metadata; creates it in a new store.
pub(super) fn load(engine: &Engine, data_dir: &DataDir) -> Result<Meta, StoreError> {
    let key = schema::meta();
    if let Some(meta) = engine.with(|tree| tree.read::<Meta>(&key))? {
        return Ok(meta);
    }
    if !data_dir.is_new() {
        return Err(StoreError::Corrupt(format!(
            "{}: nothing is in it",
            data_dir.path().join("db").display()
        )));
    }
    let meta = Meta {
        slot_key: Random::system().bytes(),
    };
    engine.commit(&[(key, Some(meta.encode()?.into()))].into())?;
    Ok(meta)
}
