//! Checks the free space on the disk.

use std::path::{Path, PathBuf};

use super::{DoctorContext, Finding};
use crate::config::StoreLocation;

const CHECK: &str = "disk";

/// Free bytes below which the store will soon not be writable.
const TOO_LITTLE: u64 = 64 << 20;

/// Free bytes below which a warning is due.
const LITTLE: u64 = 1 << 30;

/// Free inodes below which a problem is due.
const FEW: u64 = 1000;

/// Checks the file system of the store's folder.
pub(super) fn room(context: &DoctorContext<'_>) -> Vec<Finding> {
    let Ok(StoreLocation::Sled(folder)) = context.config.store.location() else {
        return Vec::new();
    };
    let there = existing(&folder);
    let finding = match rustix::fs::statvfs(&there) {
        Ok(stat) => {
            // File systems that create inodes as needed report none.
            let inodes = (stat.f_files > 0).then_some(stat.f_favail);
            evaluate(&there, stat.f_bavail.saturating_mul(stat.f_frsize), inodes)
        }
        Err(error) => Finding::warning(CHECK, format!("{}: {error}", there.display()), "see store.url"),
    };
    vec![finding]
}

/// Returns the folder, or its nearest ancestor that exists.
pub(super) fn existing(folder: &Path) -> PathBuf {
    let mut above = folder.ancestors().filter(|above| above.exists());
    above.next().map_or_else(|| PathBuf::from("."), Path::to_owned)
}

fn evaluate(folder: &Path, bytes: u64, inodes: Option<u64>) -> Finding {
    let free = format!("{} MiB are free for {}", bytes >> 20, folder.display());
    let advice = "make room: when the disk is full, sign-ins and changes are answered with 503";
    let few = inodes.filter(|inodes| *inodes < FEW);
    if bytes < TOO_LITTLE {
        Finding::problem(CHECK, free, advice)
    } else if let Some(inodes) = few {
        let text = format!("{free}, but only {inodes} more files can be made");
        Finding::problem(CHECK, text, "remove files that nobody needs")
    } else if bytes < LITTLE {
        Finding::warning(CHECK, free, advice)
    } else {
        Finding::ok(CHECK, free)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Verdict;

    #[test]
    fn little_room_is_a_warning_and_none_a_problem() {
        let verdict = |bytes, inodes| evaluate(Path::new("data"), bytes, inodes).verdict;
        assert_eq!(verdict(LITTLE, Some(FEW)), Verdict::Ok);
        assert_eq!(verdict(LITTLE, None), Verdict::Ok);
        assert_eq!(verdict(LITTLE - 1, None), Verdict::Warning);
        assert_eq!(verdict(TOO_LITTLE - 1, None), Verdict::Problem);
        assert_eq!(verdict(LITTLE, Some(FEW - 1)), Verdict::Problem);
        assert_eq!(existing(Path::new("/nowhere/at/all")), Path::new("/"));
    }
}
