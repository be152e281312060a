//! The committer: the one thread that changes the store, in group commits.
//!
//! Every read-then-write operation runs here, one after another, so there are no races. Queued operations,
//! up to [`GROUP`], form one group: it is written as one batch, made durable with one `fdatasync`, and then
//! acknowledged. The queue is bounded: if it is full, a caller gets an error at once.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;

use tokio::sync::oneshot;

use super::engine::Engine;
use super::high_water_mark::MarkWriter;
use super::reserved_space::ReservedSpace;
use super::rows::{Changes, WriteBatch};
use crate::clock::Clock;
use crate::store::StoreError;

/// The capacity of the queue, in operations.
const QUEUE: usize = 1024;

/// Operations in one group, at most.
const GROUP: usize = 256;

/// A type-erased operation. It gets the group's batch, or the error because of which there is none.
type WriteJob = Box<dyn FnOnce(Result<&mut WriteBatch<'_>, StoreError>) -> Acknowledge + Send>;

/// Delivers the outcome to the caller, once the group is written or has failed.
type Acknowledge = Box<dyn FnOnce(Result<(), StoreError>) + Send>;

/// The callers' handle on the committer thread.
#[derive(Debug)]
pub(super) struct Committer {
    queue: Option<SyncSender<WriteJob>>,
    thread: Option<JoinHandle<()>>,
}

impl Committer {
    pub(super) fn start(
        engine: Arc<Engine>,
        reserved_space: ReservedSpace,
        clock: Clock,
    ) -> std::io::Result<Self> {
        let (queue, jobs) = sync_channel(QUEUE);
        let mut writer = WriterThread {
            engine,
            reserved_space,
            clock,
            mark: None,
        };
        writer.begin_mark();
        let thread = std::thread::Builder::new()
            .name("store".to_owned())
            .spawn(move || writer.work(&jobs))?;
        Ok(Self {
            queue: Some(queue),
            thread: Some(thread),
        })
    }

    /// Runs an operation and returns once its changes are durable.
    ///
    /// Dropping the future does not cancel the operation.
    pub(super) async fn run<T, F>(&self, operation: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&mut WriteBatch<'_>) -> Result<T, StoreError> + Send + 'static,
    {
        self.run_then(operation, |_| ()).await
    }

    /// Like [`Self::run`]. `settle` runs on the committer's thread once the changes are durable, before any later
    /// operation; never if the operation fails or cannot be written.
    pub(super) async fn run_then<T, F, S>(&self, operation: F, settle: S) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&mut WriteBatch<'_>) -> Result<T, StoreError> + Send + 'static,
        S: FnOnce(&T) + Send + 'static,
    {
        let (answer, answered) = oneshot::channel();
        let job: WriteJob = Box::new(move |group| {
            let outcome = group.and_then(|group| group.run(operation));
            Box::new(move |written| {
                let outcome = written.and(outcome);
                if let Ok(done) = &outcome {
                    settle(done);
                }
                let _ = answer.send(outcome);
            })
        });
        self.enqueue(job)?;
        // It ended after it took the operation.
        let lost = |_| Err(StoreError::OutcomeUnknown(gone().reason()));
        answered.await.unwrap_or_else(lost)
    }

    /// Writes all that is queued and joins the thread; further operations fail.
    pub(super) fn stop(&mut self) {
        self.queue = None;
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the store's committer panicked");
        }
    }

    fn enqueue(&self, job: WriteJob) -> Result<(), StoreError> {
        match self.queue.as_ref().ok_or_else(gone)?.try_send(job) {
            Ok(()) => Ok(()),
            Err(TrySendError::Full(_)) => Err(StoreError::Unavailable(
                "too many operations are waiting".to_owned(),
            )),
            Err(TrySendError::Disconnected(_)) => Err(gone()),
        }
    }
}

impl Drop for Committer {
    fn drop(&mut self) {
        self.stop();
    }
}

fn gone() -> StoreError {
    StoreError::Unavailable("its committer is gone".to_owned())
}

struct WriterThread {
    engine: Arc<Engine>,
    reserved_space: ReservedSpace,
    clock: Clock,
    /// Records how far the log goes; `None` while the engine is closed or if it could not be started.
    mark: Option<MarkWriter>,
}

impl WriterThread {
    fn work(mut self, jobs: &Receiver<WriteJob>) {
        while let Ok(first) = jobs.recv() {
            let group = std::iter::once(first).chain(jobs.try_iter().take(GROUP - 1));
            self.write(group.collect());
        }
        // The engine writes in the background too, and as it closes: the last mark comes after that.
        self.engine.close();
        if let Some(mark) = &self.mark {
            mark.advance();
        }
    }

    fn write(&mut self, jobs: Vec<WriteJob>) {
        if !self.engine.is_open() {
            self.recover();
        }
        let (acknowledgements, changes) = self.run(jobs);
        let written = changes.map_or(Ok(()), |changes| self.commit(&changes));
        for acknowledge in acknowledgements {
            acknowledge(written.clone());
        }
    }

    fn run(&self, jobs: Vec<WriteJob>) -> (Vec<Acknowledge>, Option<Changes>) {
        let mut jobs = jobs.into_iter();
        let ran = self.engine.with(|tree| {
            let mut batch = WriteBatch::new(tree);
            let acknowledgements = jobs.by_ref().map(|job| job(Ok(&mut batch))).collect();
            Ok((acknowledgements, batch.into_changes()))
        });
        ran.unwrap_or_else(|error| (jobs.map(|job| job(Err(error.clone()))).collect(), None))
    }

    /// Refuses to write without the reserved space: on a full disk the engine could not be opened again.
    fn commit(&mut self, changes: &Changes) -> Result<(), StoreError> {
        if !self.reserved_space.lay()? {
            return Err(StoreError::Unavailable("the disk is full".to_owned()));
        }
        let written = self.engine.commit(changes).map_err(|error| match error {
            // The log may have all of it.
            StoreError::Unavailable(why) => StoreError::OutcomeUnknown(why),
            error => error,
        });
        match (&written, &self.mark) {
            (Ok(()), Some(mark)) => mark.advance(),
            (Ok(()), None) => {}
            (Err(error), _) => {
                tracing::error!(%error, "the store could not be written to");
                self.recover();
            }
        }
        written
    }

    /// Reopens the engine, which refuses all work after an error. All that was acknowledged is durable.
    fn recover(&mut self) {
        self.mark = None;
        self.engine.close();
        let opened = self
            .reserved_space
            .throw_out_if_full()
            .map_err(StoreError::from)
            .and_then(|_| self.engine.open());
        match opened {
            Ok(()) => {
                tracing::warn!("the store was opened again after an error");
                self.begin_mark();
            }
            Err(error) => tracing::error!(%error, "the store cannot be opened again"),
        }
    }

    /// Starts the high-water mark. Without it the store works, but damage goes unnoticed.
    fn begin_mark(&mut self) {
        match MarkWriter::start(self.engine.folder(), self.clock.clone()) {
            Ok(mark) => self.mark = Some(mark),
            Err(error) => tracing::warn!(%error, "how far the store's log goes cannot be put down"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::rows::Rows;
    use super::*;

    fn committer(folder: &std::path::Path) -> Committer {
        let engine = Arc::new(Engine::new(folder));
        engine.open().unwrap();
        Committer::start(engine, ReservedSpace::find(folder), Clock::system()).unwrap()
    }

    #[tokio::test]
    async fn a_full_queue_answers_at_once_and_what_it_took_is_done() {
        let folder = tempfile::tempdir().unwrap();
        let committer = Arc::new(committer(folder.path()));
        let (begun, has_begun) = std::sync::mpsc::channel();
        let (release, released) = std::sync::mpsc::channel();
        let busy = committer.run(move |_| {
            begun.send(()).unwrap();
            released.recv().unwrap();
            Ok(())
        });
        let mut busy = std::pin::pin!(busy);
        assert!(futures_util::poll!(&mut busy).is_pending());
        has_begun.recv().unwrap();

        let mut waiting = Vec::new();
        for n in 0..QUEUE {
            let mut put = Box::pin(committer.run(move |group| group.put(n.to_be_bytes().to_vec(), &())));
            assert!(futures_util::poll!(&mut put).is_pending());
            waiting.push(put);
        }
        let refused = committer.run(|_| Ok(())).await;
        assert!(matches!(refused, Err(StoreError::Unavailable(_))), "{refused:?}");

        release.send(()).unwrap();
        busy.await.unwrap();
        for put in waiting {
            put.await.unwrap();
        }
        assert_eq!(
            committer.run(|group| Ok(group.scan(b"").count())).await.unwrap(),
            QUEUE
        );
    }

    #[tokio::test]
    async fn what_is_queued_is_written_before_the_end() {
        let folder = tempfile::tempdir().unwrap();
        let running = committer(folder.path());
        let mut puts = Vec::new();
        for n in 0..100_u8 {
            let mut put = Box::pin(running.run(move |group| group.put(vec![n], &())));
            let _ = futures_util::poll!(&mut put);
            puts.push(put);
        }
        drop(puts);
        drop(running);
        let again = committer(folder.path());
        assert_eq!(again.run(|group| Ok(group.scan(b"").count())).await.unwrap(), 100);
    }
}
