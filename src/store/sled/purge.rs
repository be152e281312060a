//! Removal of expired rows: found by a scan on a blocking thread, removed a piece at a time.

use jiff::Timestamp;

use super::engine::{Engine, PIECE};
use super::rows::WriteBatch;
use super::{SledStore, invitations, mails, sessions, signatures, tokens};
use crate::clock;
use crate::store::StoreError;

impl SledStore {
    /// Removes what is expired at `now`, and sessions made before `sessions_before`.
    pub(super) async fn purge(&self, now: Timestamp, sessions_before: Timestamp) -> Result<(), StoreError> {
        self.change_each(
            move |engine| sessions::made_before(engine, sessions_before),
            sessions::end_these,
        )
        .await?;
        self.change_each(
            move |engine| invitations::those(engine, |made| made.expires_at <= now),
            invitations::remove_these,
        )
        .await?;
        for ends in self
            .read_all(move |engine| signatures::expired(engine, now))
            .await?
            .chunks(PIECE)
        {
            let (ends, signatures) = (ends.to_vec(), self.open.signatures.clone());
            let forgotten = self.open.committer.run_then(
                move |batch| signatures::forget(batch, &ends),
                move |forgotten| signatures.make_room(*forgotten),
            );
            forgotten.await?;
        }
        self.change_each(
            move |engine| tokens::those(engine, |token| token.expires_at <= now),
            tokens::remove_these,
        )
        .await?;
        self.change_each(
            move |engine| mails::stale(engine, now),
            move |batch, keys| mails::remove_stale(batch, keys, now),
        )
        .await
    }

    /// Removes invitations and e-mail tokens that were made in the future, by a clock that was ahead, and
    /// makes mails due that wait for such a time.
    pub(super) async fn purge_future(&self, now: Timestamp) -> Result<(), StoreError> {
        self.change_each(
            move |engine| invitations::those(engine, |made| clock::is_ahead(made.created_at, now)),
            invitations::remove_these,
        )
        .await?;
        self.change_each(
            move |engine| tokens::those(engine, |token| token.is_ahead(now)),
            tokens::remove_these,
        )
        .await?;
        self.change_each(
            move |engine| mails::ahead(engine, now),
            move |batch, ids| mails::hasten(batch, ids, now),
        )
        .await
    }

    /// Runs `change` on all that `find` returns, a piece at a time.
    async fn change_each<T: Clone + Send + 'static>(
        &self,
        find: impl FnOnce(&Engine) -> Result<Vec<T>, StoreError> + Send + 'static,
        change: impl Fn(&mut WriteBatch<'_>, &[T]) -> Result<(), StoreError> + Clone + Send + 'static,
    ) -> Result<(), StoreError> {
        for piece in self.read_all(find).await?.chunks(PIECE) {
            let (piece, change) = (piece.to_vec(), change.clone());
            self.change(move |batch| change(batch, &piece)).await?;
        }
        Ok(())
    }
}
