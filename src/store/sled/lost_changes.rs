//! Changes that were promised and that the engine forgot, because its log was damaged behind them.

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::engine_log::EngineLog;
use super::high_water_mark::{self, HighWaterMark, MarkLost, write_durably};
use super::unreadable_snapshot;

/// The alarm: it stays until the operator removes it.
const FILE: &str = "lost-changes.json";

/// That changes are lost, and of what time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct LostChanges {
    /// When the last change was made that is certainly there.
    after: Option<Timestamp>,
    /// When the last change was made of which it is known.
    until: Option<Timestamp>,
    /// The high-water mark is lost, so whether changes are cannot be told.
    #[serde(default)]
    mark_is_lost: bool,
    /// Where the store is.
    #[serde(skip)]
    folder: PathBuf,
}

impl LostChanges {
    /// Those of which no time is known.
    fn untold(folder: PathBuf) -> Self {
        Self {
            after: None,
            until: None,
            mark_is_lost: false,
            folder,
        }
    }

    /// Those that were noticed in a folder, ever since.
    pub(super) fn noticed(folder: &Path) -> Option<Self> {
        let folder = folder.to_owned();
        match fs::read(folder.join(FILE)) {
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

    /// Those that the engine will forget when it opens the folder. Changes nothing.
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

    /// Puts down those that the engine will forget, before it does.
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
        // Where it cannot be put down it is told at least.
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
