//! The high-water mark: a small file that says how far the log went with acknowledged commits.
//!
//! The engine drops what follows a damaged place in its log and opens as if nothing had been there; the mark
//! reveals that. It is written after the log, at most once a second and at the end, and never ahead of what
//! is durable. So it gives no false alarm after a crash, but the last second before one may be lost
//! unnoticed.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::engine_log::EngineLog;
use super::unreadable_snapshot;
use crate::clock::Clock;
use crate::regular_file;

pub(super) const FILE: &str = "high-water-mark.json";

/// Created with the first mark: from then on a missing mark means that it was lost.
pub(super) const BEGUN: &str = "high-water-mark.begun";

/// The least time between two writes of the mark.
const INTERVAL: Duration = Duration::from_secs(1);

/// A mark is dropped when its neighbours are closer than their age divided by this: a damaged place is dated
/// to about an eighth of its age.
const ACCURACY: f64 = 8.0;

/// Marks kept at most, whatever the clock does.
const MOST_MARKS: usize = 256;

/// Positions of the log and when it had reached them, newest last; never empty once written.
#[derive(Debug, Default)]
pub(super) struct HighWaterMark(Vec<(u64, Timestamp)>);

/// The file's content. The checksum tells damage of this file from damage of the log.
#[derive(Serialize, Deserialize)]
struct MarkFile {
    marks: Vec<(u64, Timestamp)>,
    checksum: u32,
}

/// The error for a mark that existed and is missing or unreadable.
#[derive(Debug)]
pub(super) struct MarkLost;

impl HighWaterMark {
    /// Reads the mark of the store in the directory; `None` if it never had one.
    pub(super) fn read(folder: &Path) -> Result<Option<Self>, MarkLost> {
        match regular_file::read(&folder.join(FILE)) {
            Ok(text) => Self::parse(&text).map(Some).ok_or(MarkLost),
            Err(error) if error.kind() == io::ErrorKind::NotFound && !folder.join(BEGUN).exists() => Ok(None),
            Err(_) => Err(MarkLost),
        }
    }

    fn parse(text: &[u8]) -> Option<Self> {
        let written: MarkFile = serde_json::from_slice(text).ok()?;
        let is_sound = !written.marks.is_empty() && checksum(&written.marks).ok()? == written.checksum;
        is_sound.then_some(Self(written.marks))
    }

    fn text(&self) -> io::Result<Vec<u8>> {
        let written = MarkFile {
            checksum: checksum(&self.0)?,
            marks: self.0.clone(),
        };
        Ok(serde_json::to_vec(&written)?)
    }

    /// The newest position and its time.
    pub(super) fn newest(&self) -> Option<(u64, Timestamp)> {
        self.0.last().copied()
    }

    /// Returns the time of the last mark up to `position`; `None` if there is none: what lies there may be older than
    /// all marks.
    pub(super) fn time_before(&self, position: u64) -> Option<Timestamp> {
        let passed = self.0.iter().take_while(|(mark, _)| *mark <= position);
        passed.last().map(|(_, time)| *time)
    }

    /// Drops marks beyond the end of the log: the engine cut off what they were of.
    fn cut(&mut self, end: u64) {
        self.0.retain(|(mark, _)| *mark <= end);
    }

    fn push(&mut self, position: u64, now: Timestamp) {
        self.0.push((position, now));
        let seconds = |from: Timestamp, to: Timestamp| to.duration_since(from).as_secs_f64();
        let mut kept: Vec<(u64, Timestamp)> = Vec::with_capacity(self.0.len());
        for (place, mark) in self.0.iter().enumerate() {
            let neighbours = kept.last().zip(self.0.get(place + 1));
            let is_close = neighbours
                .is_some_and(|(before, after)| seconds(before.1, after.1) * ACCURACY < seconds(after.1, now));
            if !is_close {
                kept.push(*mark);
            }
        }
        if kept.len() > MOST_MARKS {
            kept.remove(1);
        }
        self.0 = kept;
    }
}

/// The thread that writes the mark of an open store, apart from the committer, which does not wait for it.
#[derive(Debug)]
pub(super) struct MarkWriter {
    progress: Arc<MarkProgress>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct MarkProgress {
    state: Mutex<MarkState>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct MarkState {
    /// Whether something was committed since the mark was written.
    is_behind: bool,
    is_stopped: bool,
}

struct MarkFollower {
    folder: PathBuf,
    log: EngineLog,
    clock: Clock,
    /// How far the log was read.
    position: u64,
    mark: HighWaterMark,
    has_failed: bool,
}

impl MarkWriter {
    /// Starts the thread with the log as the engine has just opened it. The marks of earlier runs date what was written
    /// in them; if they are lost, the marks begin anew.
    pub(super) fn start(folder: &Path, clock: Clock) -> io::Result<Self> {
        let log = EngineLog::open(folder)?.ok_or(io::ErrorKind::NotFound)?;
        let follower = MarkFollower {
            position: unreadable_snapshot::newest_end(folder)?,
            folder: folder.to_owned(),
            log,
            clock,
            mark: HighWaterMark::read(folder).ok().flatten().unwrap_or_default(),
            has_failed: false,
        };
        let progress = Arc::new(MarkProgress::default());
        progress.lock().is_behind = true;
        let thread = std::thread::Builder::new().name("store-mark".to_owned()).spawn({
            let progress = progress.clone();
            move || follower.work(&progress)
        })?;
        Ok(Self {
            progress,
            thread: Some(thread),
        })
    }

    /// Tells the thread that something was committed.
    pub(super) fn advance(&self) {
        let mut state = self.progress.lock();
        if !state.is_behind {
            state.is_behind = true;
            self.progress.changed.notify_all();
        }
    }
}

/// Writes the mark a last time.
impl Drop for MarkWriter {
    fn drop(&mut self) {
        self.progress.lock().is_stopped = true;
        self.progress.changed.notify_all();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("what writes the store's high-water mark panicked");
        }
    }
}

impl MarkProgress {
    fn lock(&self) -> MutexGuard<'_, MarkState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl MarkFollower {
    fn work(mut self, progress: &MarkProgress) {
        loop {
            let waiting = progress
                .changed
                .wait_while(progress.lock(), |state| !state.is_behind && !state.is_stopped);
            let mut state = waiting.unwrap_or_else(PoisonError::into_inner);
            if !state.is_behind {
                return;
            }
            state.is_behind = false;
            drop(state);
            self.advance();
            let pausing = progress
                .changed
                .wait_timeout_while(progress.lock(), INTERVAL, |state| !state.is_stopped);
            drop(pausing);
        }
    }

    /// Writes the mark. A failure only weakens the detection of damage: it is logged once, until a write
    /// succeeds.
    fn advance(&mut self) {
        match self.write() {
            Ok(()) => self.has_failed = false,
            Err(error) if !self.has_failed => {
                self.has_failed = true;
                tracing::warn!(%error, "how far the store's log goes cannot be put down");
            }
            Err(_) => {}
        }
    }

    fn write(&mut self) -> io::Result<()> {
        let end = self.log.end_from(self.position)?;
        // What was read may not be durable yet.
        self.log.sync()?;
        self.position = end;
        self.mark.cut(end);
        self.mark.push(end, self.clock.now());
        write_durably(&self.folder, FILE, &self.mark.text()?)?;
        if !self.folder.join(BEGUN).exists() {
            write_durably(&self.folder, BEGUN, &[])?;
        }
        Ok(())
    }
}

fn checksum(marks: &[(u64, Timestamp)]) -> io::Result<u32> {
    Ok(crc32fast::hash(&serde_json::to_vec(marks)?))
}

/// Replaces a file atomically and durably: after a crash it has the new content or the old.
pub(super) fn write_durably(folder: &Path, name: &str, text: &[u8]) -> io::Result<()> {
    let path = folder.join(name);
    let draft = path.with_extension("draft");
    let mut options = OpenOptions::new();
    let options = options.write(true).create(true).truncate(true).mode(0o600);
    let mut file = options.open(&draft)?;
    file.write_all(text)?;
    file.sync_all()?;
    fs::rename(&draft, &path)?;
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::super::engine::Engine;
    use super::*;

    #[test]
    fn marks_thin_out_with_their_age_and_date_a_place_well_enough() {
        let start: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let mut mark = HighWaterMark::default();
        for second in 0..200_000_u32 {
            let now = start + Duration::from_secs(second.into());
            mark.push(u64::from(second) * 100, now);
        }
        assert!(mark.0.len() < 150, "{}", mark.0.len());
        let newest = start + Duration::from_secs(199_999);
        assert_eq!(mark.newest(), Some((19_999_900, newest)));
        for age in [0_u32, 1, 10, 600, 7_000, 100_000, 199_999] {
            let second = 199_999 - age;
            let time = mark.time_before(u64::from(second) * 100).unwrap();
            let actual = start + Duration::from_secs(second.into());
            let early = actual.duration_since(time).as_secs_f64();
            assert!(
                (0.0..=f64::from(age) / 4.0 + 1.0).contains(&early),
                "{age}: {early}"
            );
        }
        assert_eq!(HighWaterMark(vec![(9, start)]).time_before(3), None);
    }

    #[test]
    fn a_place_of_an_earlier_run_is_dated_by_the_marks_of_that_run() {
        let folder = tempfile::tempdir().unwrap();
        let first: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let second = first + Duration::from_hours(9);
        let engine = Engine::new(folder.path());
        engine.open().unwrap();
        let change = |n: u8| {
            engine
                .commit(&[(vec![n; 9], Some(vec![n].into()))].into())
                .unwrap();
        };
        for (n, time) in [(1, first), (2, second)] {
            change(n);
            let (clock, _) = Clock::manual(time);
            drop(MarkWriter::start(folder.path(), clock).unwrap());
        }
        let mark = HighWaterMark::read(folder.path()).unwrap().unwrap();
        let times: Vec<Timestamp> = mark.0.iter().map(|(_, time)| *time).collect();
        assert_eq!(times, [first, second]);
        let (end_of_first, end) = (mark.0[0].0, mark.0[1].0);
        assert!(end_of_first < end, "{end_of_first} {end}");
        assert_eq!(mark.time_before(end - 1), Some(first));
        assert_eq!(mark.time_before(end_of_first - 1), None);

        // The engine cut the log off.
        let mut cut = mark;
        cut.cut(end - 1);
        assert_eq!(cut.newest(), Some((end_of_first, first)));
    }

    #[test]
    fn a_mark_whose_file_was_damaged_is_none() {
        let start: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let text = HighWaterMark(vec![(120_000, start), (130_000, start + INTERVAL)])
            .text()
            .unwrap();
        let read = HighWaterMark::parse(&text).unwrap();
        assert_eq!(read.newest(), Some((130_000, start + INTERVAL)));
        for place in 0..text.len() {
            for bit in 0..8 {
                let mut damaged = text.clone();
                damaged[place] ^= 1 << bit;
                if let Some(read) = HighWaterMark::parse(&damaged) {
                    assert_eq!(read.newest(), Some((130_000, start + INTERVAL)), "{place}, {bit}");
                }
            }
        }
    }
}
