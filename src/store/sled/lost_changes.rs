//! Lost changes: acknowledged changes that the engine dropped because its log was damaged before them.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::engine_log::EngineLog;
use super::high_water_mark::{self, HighWaterMark, MarkLost, write_durably};
use super::unreadable_snapshot;
use crate::regular_file;

/// The alarm file; it stays until the operator removes it.
const FILE: &str = "lost-changes.json";

/// A report that changes are lost, and from what time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct LostChanges {
    /// The time of the last change that is certainly kept; `None` if unknown.
    after: Option<Timestamp>,
    /// The time of the last change that is known to have been made; `None` if unknown.
    until: Option<Timestamp>,
    /// The high-water mark is lost, so it is unknown whether changes are.
    #[serde(default)]
    mark_is_lost: bool,
    #[serde(skip)]
    folder: PathBuf,
}

impl LostChanges {
    /// A report without times.
    fn untold(folder: PathBuf) -> Self {
        Self {
            after: None,
            until: None,
            mark_is_lost: false,
            folder,
        }
    }

    /// Reads the alarm file of a directory. An unreadable file still counts as an alarm.
    pub(super) fn noticed(folder: &Path) -> Option<Self> {
        let folder = folder.to_owned();
        match regular_file::read(&folder.join(FILE)) {
            Ok(text) => {
                let read: Option<Self> = serde_json::from_slice(&text).ok();
                Some(Self {
                    folder: folder.clone(),
                    ..read.unwrap_or(Self::untold(folder))
                })
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(_) => Some(Self::untold(folder)),
        }
    }

    /// Finds the changes that the engine will drop when it opens the directory. Writes nothing.
    pub(super) fn find(folder: &Path) -> io::Result<Option<Self>> {
        let mark = match HighWaterMark::read(folder) {
            Ok(Some(mark)) => mark,
            Ok(None) => return Ok(None),
            Err(MarkLost) => {
                return Ok(Some(Self {
                    mark_is_lost: true,
                    ..Self::untold(folder.to_owned())
                }));
            }
        };
        let (Some((end, until)), Some(log)) = (mark.newest(), EngineLog::open(folder)?) else {
            return Ok(None);
        };
        let start = unreadable_snapshot::newest_end(folder)?;
        let damage = log.damage_in(start..end)?;
        Ok(damage.map(|position| Self {
            after: mark.time_before(position),
            until: Some(until),
            ..Self::untold(folder.to_owned())
        }))
    }

    /// Records the changes that the engine will drop. Must run before it opens.
    pub(super) fn notice(folder: &Path) -> io::Result<()> {
        let Some(mut lost) = Self::find(folder)? else {
            return Ok(());
        };
        if let Some(earlier) = Self::noticed(folder) {
            if lost.mark_is_lost {
                return Ok(());
            }
            lost.after = earlier.after.min(lost.after);
        }
        // If the alarm cannot be written, it is at least logged.
        write_durably(folder, FILE, &serde_json::to_vec(&lost)?).inspect_err(|_| tracing::error!("{lost}"))
    }
}

impl fmt::Display for LostChanges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let file = |name: &str| self.folder.join(name);
        if self.mark_is_lost {
            let (mark, db) = (file(high_water_mark::FILE), file("db"));
            let (mark, db) = (mark.display(), db.display());
            write!(
                f,
                "{mark} is gone or was damaged, which tells whether {db} is whole: what was decided last"
            )?;
        } else {
            write!(f, "{} was damaged, and what was decided", file("db").display())?;
        }
        if let Some(after) = self.after {
            write!(f, " after {after:.0}")?;
        }
        if let Some(until) = self.until {
            write!(f, ", until {until:.0},")?;
        }
        write!(
            f,
            " may be lost: sessions that were ended, keys that were revoked and accounts that were disabled may serve \
             again, and passwords be the old ones. Compare with the lines of the audit log. `vestibule store import \
             BACKUP` makes a new store from a backup, once that folder is moved away; to go on with what there is, \
             end sessions with `vestibule session revoke`, do again what is missing, and remove {}",
            self.folder.join(FILE).display()
        )
    }
}
