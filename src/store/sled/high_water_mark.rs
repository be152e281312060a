//! The high-water mark: how far the log went of which all was promised, in a small file of its own.
//!
//! The engine forgets what follows a damaged place of its log and opens as if it had never been. The mark tells: it is
//! written behind the log, once a second at most and at the end, and never says more than is on disk. So nothing that
//! an unclean stop may take is missed, and what was decided within a second before one may go unnoticed.

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

pub(super) const FILE: &str = "high-water-mark.json";

/// Is there as soon as a mark was written: that one is missing then means something.
const BEGUN: &str = "high-water-mark.begun";

/// Between two times that it is written.
const INTERVAL: Duration = Duration::from_secs(1);

/// Marks lie as far apart as they are old, divided by this: so a damaged place is dated to an eighth of its age.
const ACCURACY: f64 = 8.0;

/// Marks that are kept, whatever the clock does.
const MOST_MARKS: usize = 256;

/// Positions of the log and when it had come to them, the newest last; never empty.
#[derive(Debug, Default)]
pub(super) struct HighWaterMark(Vec<(u64, Timestamp)>);

/// The file: damage of its own is not taken for damage of the log.
#[derive(Serialize, Deserialize)]
struct MarkFile {
    marks: Vec<(u64, Timestamp)>,
    checksum: u32,
}

/// There was a mark, and it is missing or cannot be read.
#[derive(Debug)]
pub(super) struct MarkLost;

impl HighWaterMark {
    /// That of the store in the folder; none if it never had one.
    pub(super) fn read(folder: &Path) -> Result<Option<Self>, MarkLost> {
        match fs::read(folder.join(FILE)) {
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

    /// How far the log went, and when.
    pub(super) fn newest(&self) -> Option<(u64, Timestamp)> {
        self.0.last().copied()
    }

    /// A time at which the log had not come further than to a position.
    pub(super) fn time_before(&self, position: u64) -> Option<Timestamp> {
        let passed = self.0.iter().take_while(|(mark, _)| *mark <= position);
        passed.last().or(self.0.first()).map(|(_, time)| *time)
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

/// The thread that writes the mark of an open store: the committer does not wait for it.
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
    /// Begins with the log as the engine just opened it. A mark of before is replaced.
    pub(super) fn start(folder: &Path, clock: Clock) -> io::Result<Self> {
        let log = EngineLog::open(folder)?.ok_or(io::ErrorKind::NotFound)?;
        let follower = MarkFollower {
            position: unreadable_snapshot::newest_end(folder)?,
            folder: folder.to_owned(),
            log,
            clock,
            mark: HighWaterMark::default(),
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

    /// Something was committed.
    pub(super) fn advance(&self) {
        let mut state = self.progress.lock();
        if !state.is_behind {
            state.is_behind = true;
            self.progress.changed.notify_all();
        }
    }
}

/// Writes it for the last time.
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

    /// A failure costs nothing but an alarm, one day: it is told once.
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
        // What was read may be on its way only.
        self.log.sync()?;
        self.position = end;
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

/// Writes a file of the folder so that it is there whole, whenever the machine stops: the new one or the old one.
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
        assert_eq!(HighWaterMark(vec![(9, start)]).time_before(3), Some(start));
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
