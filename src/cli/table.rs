//! Formats tables and times as text.
//!
//! By hand: a crate for tables would draw borders and wrap lines to the terminal's width, where these stay
//! one line a row for `grep` and `awk`, and what is left of it is the width of a cell.

use std::time::Duration;

use jiff::Timestamp;
use unicode_width::UnicodeWidthStr;

use crate::model::legible;

/// Formats columns under their titles, two spaces apart.
pub(super) fn table<const N: usize>(
    titles: [&str; N],
    rows: impl IntoIterator<Item = [String; N]>,
) -> String {
    let rows: Vec<[String; N]> = [titles.map(str::to_owned)]
        .into_iter()
        .chain(rows)
        .map(|row| row.map(|cell| printable(&cell)))
        .collect();
    let widths: [usize; N] =
        std::array::from_fn(|column| rows.iter().map(|row| row[column].width()).max().unwrap_or(0));
    let lines: Vec<String> = rows.iter().map(|row| line(row, &widths)).collect();
    lines.join("\n")
}

/// Formats names and values, a pair a line.
pub(super) fn list<const N: usize>(rows: [(&str, String); N]) -> String {
    let width = rows.iter().map(|(name, _)| name.width()).max().unwrap_or(0);
    let lines = rows.map(|(name, value)| {
        let value = printable(&value);
        format!("{name:width$}  {value}").trim_end().to_owned()
    });
    lines.join("\n")
}

/// Replaces control and invisible characters, with which a chosen name could move the cursor or imitate other
/// output.
pub(super) fn printable(text: &str) -> String {
    legible(text).replace(char::is_control, "\u{fffd}")
}

/// Formats a time in UTC, and how far away it is.
pub(super) fn moment(at: Timestamp, now: Timestamp) -> String {
    let distance = at.duration_since(now);
    let relative = match distance.unsigned_abs().as_secs() {
        0 => "now".to_owned(),
        _ if distance.is_negative() => format!("{} ago", roughly(distance.unsigned_abs())),
        _ => format!("in {}", roughly(distance.unsigned_abs())),
    };
    format!("{} ({relative})", at.strftime("%Y-%m-%d %H:%M UTC"))
}

/// Formats a duration in its largest unit, rounded.
pub(super) fn roughly(length: Duration) -> String {
    let seconds = length.as_secs();
    let (count, unit) = [(86_400, "day"), (3600, "hour"), (60, "minute")]
        .into_iter()
        .find(|(size, _)| seconds >= *size)
        .map_or((seconds, "second"), |(size, unit)| {
            ((seconds + size / 2) / size, unit)
        });
    format!("{count} {unit}{}", if count == 1 { "" } else { "s" })
}

fn line<const N: usize>(row: &[String; N], widths: &[usize; N]) -> String {
    let mut line = String::new();
    for (cell, width) in row.iter().zip(widths) {
        line.push_str(cell);
        line.push_str(&" ".repeat(width - cell.width() + 2));
    }
    line.trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_whatever_the_script() {
        let rows = [
            ["ann@example.com".to_owned(), "Ann".to_owned(), "x".to_owned()],
            ["b@c".to_owned(), "홍길동".to_owned(), "y".to_owned()],
        ];
        assert_eq!(
            table(["EMAIL", "NAME", ""], rows),
            "EMAIL            NAME\n\
             ann@example.com  Ann     x\n\
             b@c              홍길동  y"
        );
    }

    #[test]
    fn a_name_cannot_command_the_terminal() {
        assert!(!table(["NAME"], [["\u{1b}[2J\nroot".to_owned()]]).contains('\u{1b}'));
        assert!(!list([("name", "\u{9b}2J".to_owned())]).contains('\u{9b}'));
        assert_eq!(
            table(["NAME"], [["root\u{202e}\u{200b}".to_owned()]]),
            "NAME\nroot\\u{202e}\\u{200b}"
        );
    }

    #[test]
    fn moments_are_far_or_near() {
        let now: Timestamp = "2026-01-02T03:04:05Z".parse().unwrap();
        let shown = |seconds| moment(now + Duration::from_secs(seconds), now);
        assert_eq!(moment(now, now), "2026-01-02 03:04 UTC (now)");
        assert_eq!(shown(59), "2026-01-02 03:05 UTC (in 59 seconds)");
        assert_eq!(shown(7 * 86_400), "2026-01-09 03:04 UTC (in 7 days)");
        assert_eq!(
            moment(now - Duration::from_mins(90), now),
            "2026-01-02 01:34 UTC (2 hours ago)"
        );
        assert_eq!(
            moment(now - Duration::from_mins(1), now),
            "2026-01-02 03:03 UTC (1 minute ago)"
        );
    }
}
