//! Finds a request in the access log file by its request id.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::Path;

use jiff::Timestamp;

use crate::api::LoggedRequest;

/// Bytes searched, from the end of the file: about 200,000 requests.
const LOOKS: u64 = 64 << 20;

/// Returns the newest line with this request id in the last 64 MiB of `file`. Blocks.
pub(in crate::proxy) fn find_request(file: &Path, id: &str) -> io::Result<Option<LoggedRequest>> {
    let text = end_of(file)?;
    let needle = format!("\"request_id\":\"{id}\"");
    // A client may have sent a path that looks like it: what is read counts.
    let found = newest_first(&text, &needle).find(|logged| logged.request_id == id);
    Ok(found)
}

/// The requests of the user with this name that were refused since `since`, in the last 64 MiB of the file: the newest, at
/// most so many, the newest first. Blocks.
pub fn find_refusals(
    file: &Path,
    user: &str,
    since: Timestamp,
    most: usize,
) -> io::Result<Vec<LoggedRequest>> {
    let text = end_of(file)?;
    let needle = format!("\"user\":\"{user}\"");
    let refused = newest_first(&text, &needle).filter(|logged| {
        logged.user.as_deref() == Some(user) && logged.time >= since && (400..499).contains(&logged.status)
    });
    Ok(refused.take(most).collect())
}

fn end_of(file: &Path) -> io::Result<Vec<u8>> {
    let mut file = File::open(file)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(LOOKS)))?;
    let mut text = Vec::new();
    file.take(LOOKS).read_to_end(&mut text)?;
    Ok(text)
}

/// The lines that have the needle in them, each once.
fn newest_first<'t>(text: &'t [u8], needle: &'t str) -> impl Iterator<Item = LoggedRequest> + 't {
    let mut earliest = text.len();
    memchr::memmem::rfind_iter(text, needle.as_bytes()).filter_map(move |at| {
        let start = memchr::memrchr(b'\n', &text[..at]).map_or(0, |newline| newline + 1);
        if start >= earliest {
            return None;
        }
        earliest = start;
        let end = memchr::memchr(b'\n', &text[at..]).map_or(text.len(), |newline| at + newline);
        serde_json::from_slice(&text[start..end]).ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_line_of_a_name_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("access.log");
        let line = |id: &str, path: &str| {
            let (time, client) = ("2026-01-02T03:04:05Z", "203.0.113.9");
            let line = serde_json::json!({
                "time": time, "request_id": id, "client": client, "path": path, "status": 200,
            });
            format!("{line}\n")
        };
        let text =
            line("a1", "/old") + &line("a1", "/new") + &line("b2", "\"request_id\":\"c3\"") + "half a li";
        std::fs::write(&file, text).unwrap();
        let path = |id| find_request(&file, id).unwrap().and_then(|found| found.path);
        assert_eq!(path("a1").as_deref(), Some("/new"));
        assert!(path("b2").is_some());
        assert_eq!(path("c3"), None);
        assert_eq!(path("a"), None);
        assert!(find_request(&folder.path().join("none"), "a1").is_err());
    }

    #[test]
    fn the_refusals_of_a_user_are_found() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("access.log");
        let line = |minute: u32, user: &str, path: &str, status: u16| {
            let line = serde_json::json!({
                "time": format!("2026-01-02T03:{minute:02}:00Z"), "request_id": format!("r{minute}"),
                "client": "203.0.113.9", "path": path, "user": user, "status": status,
            });
            format!("{line}\n")
        };
        let text = line(1, "ann", "/early", 403)
            + &line(2, "ann", "/a", 403)
            + &line(3, "ann", "/fine", 200)
            + &line(4, "bob", "/\"user\":\"ann\"", 403)
            + &line(5, "ann", "/\"user\":\"ann\"", 404)
            + &line(6, "ann", "/gone", 499)
            + &line(7, "ann", "/b", 405);
        std::fs::write(&file, text).unwrap();
        let since = "2026-01-02T03:02:00Z".parse().unwrap();
        let found = |most| -> Vec<String> {
            let found = find_refusals(&file, "ann", since, most).unwrap();
            found.into_iter().map(|logged| logged.request_id).collect()
        };
        assert_eq!(found(9), ["r7", "r5", "r2"]);
        assert_eq!(found(1), ["r7"]);
    }
}
