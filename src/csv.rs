//! Comma-separated values (RFC 4180), as spreadsheets write and open them.

use csv::{QuoteStyle, ReaderBuilder, StringRecord, Terminator, Trim, WriterBuilder};

use crate::model::is_invisible;

/// One row with its line break. A cell that a spreadsheet would run as a formula begins with `'`, which has it shown as
/// text (OWASP, CSV injection).
pub(crate) fn row<'c>(cells: impl IntoIterator<Item = &'c str>) -> String {
    let cells: Vec<&str> = cells.into_iter().collect();
    // Without quotes, some programs split cells at these signs too, or drop the blanks around them.
    let is_misread = |cell: &&str| cell.contains([';', '\t']) || cell.trim() != *cell;
    let quotes = if cells.iter().any(is_misread) {
        QuoteStyle::Always
    } else {
        QuoteStyle::Necessary
    };
    let mut writer = WriterBuilder::new()
        .quote_style(quotes)
        .terminator(Terminator::CRLF)
        .from_writer(Vec::new());
    let written = writer.write_record(cells.into_iter().map(guard_formula));
    debug_assert!(written.is_ok(), "there is room in memory");
    let line = writer.into_inner().unwrap_or_default();
    String::from_utf8_lossy(&line).into_owned()
}

fn guard_formula(cell: &str) -> String {
    let guard = if is_formula(cell) { "'" } else { "" };
    format!("{guard}{cell}")
}

/// Whether a spreadsheet may take a cell for a formula, which some do after blanks and invisible characters, and for
/// full-width signs too.
fn is_formula(text: &str) -> bool {
    text.starts_with(['\t', '\r', '\n'])
        || text
            .trim_start_matches(|c: char| c.is_whitespace() || is_invisible(c))
            .starts_with(['=', '+', '-', '@', '＝', '＋', '－', '＠'])
}

/// The rows of a text, each with the number of the line on which it begins, from 1. The separator is the one of comma,
/// semicolon and tab that the first line has outside quotes, the comma before the others. Blanks around a cell are
/// dropped; a row without anything in it is none.
///
/// # Errors
/// The number of the line on which a cell begins whose quotes are not around all of it.
pub(crate) fn read(text: &str) -> Result<Vec<(usize, Vec<String>)>, usize> {
    let text = text.trim_start_matches('\u{feff}');
    let separator = separator(text);
    let mut reader = ReaderBuilder::new()
        .delimiter(separator)
        .has_headers(false)
        .flexible(true)
        .trim(Trim::All)
        .from_reader(text.as_bytes());
    let mut rows = Vec::new();
    let mut record = StringRecord::new();
    let (mut line, mut rest) = (1, text);
    while reader.read_record(&mut record).map_err(|_| line)? {
        // Line breaks that end the row before, or are empty rows, count to this one.
        let row = rest.trim_start_matches(['\r', '\n']);
        line += line_breaks(&rest[..rest.len() - row.len()]);
        let end = usize::try_from(reader.position().byte()).map_err(|_| line)?;
        rest = text.get(end..).ok_or(line)?;
        let row = row.strip_suffix(rest).ok_or(line)?;
        if let Some(quote) = misplaced_quote(row, char::from(separator)) {
            return Err(line + line_breaks(&row[..quote]));
        }
        if record.iter().any(|cell| !cell.is_empty()) {
            rows.push((line, record.iter().map(str::to_owned).collect()));
        }
        line += line_breaks(row);
    }
    Ok(rows)
}

fn line_breaks(text: &str) -> usize {
    text.matches('\n').count()
}

/// Where a cell begins whose quotes are not around all of it, which the reader takes, and in which it may find another
/// meaning than its author.
fn misplaced_quote(row: &str, separator: char) -> Option<usize> {
    let is_border = |c: char| c == separator || c == '\r' || c == '\n';
    let is_blank = |c: char| c == ' ' || (c == '\t' && separator != '\t');
    let quotes: Vec<usize> = row.match_indices('"').map(|(at, _)| at).collect();
    let mut cell = 0;
    // Two quotes within a cell stand for one: the first closes a pair, the second opens the next.
    for pair in quotes.chunks(2) {
        let before = &row[..pair[0]];
        let goes_on = before.ends_with('"');
        if !goes_on {
            cell = pair[0];
        }
        let after = pair.get(1).map(|close| &row[close + 1..]);
        let is_whole = after.is_some_and(|after| {
            let next = after.trim_start_matches(is_blank);
            after.starts_with('"') || next.is_empty() || next.starts_with(is_border)
        });
        if !is_whole || !(goes_on || before.is_empty() || before.ends_with(is_border)) {
            return Some(cell);
        }
    }
    None
}

fn separator(text: &str) -> u8 {
    let first = text.lines().next().unwrap_or_default();
    let unquoted: String = first.split('"').step_by(2).collect();
    let known = [',', ';', '\t'];
    let found = known.into_iter().find(|c| unquoted.contains(*c));
    found.and_then(|c| u8::try_from(c).ok()).unwrap_or(b',')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_quoted_where_they_must_be() {
        assert_eq!(row(["a", "", "b c"]), "a,,b c\r\n");
        assert_eq!(
            row(["a,b", "say \"x\"", "1\n2"]),
            "\"a,b\",\"say \"\"x\"\"\",\"1\n2\"\r\n"
        );
    }

    #[test]
    fn a_formula_is_shown_and_not_run() {
        for (text, cell) in [
            ("=1+1", "'=1+1"),
            ("+82 2 123", "'+82 2 123"),
            ("-2", "'-2"),
            ("@SUM(A1)", "'@SUM(A1)"),
            (" =1", "\"' =1\""),
            ("\t=1", "\"'\t=1\""),
            (
                "=HYPERLINK(\"http://x\",\"y\")",
                "\"'=HYPERLINK(\"\"http://x\"\",\"\"y\"\")\"",
            ),
            ("＝1", "'＝1"),
            ("\u{feff}\u{200b}=1", "'\u{feff}\u{200b}=1"),
            ("a=1", "a=1"),
            ("ann-lee@example.com", "ann-lee@example.com"),
        ] {
            assert_eq!(row([text]), format!("{cell}\r\n"), "{text:?}");
        }
    }

    #[test]
    fn what_some_programs_split_or_trim_is_quoted() {
        for (cells, written) in [
            (["a", "b;c"], "\"a\",\"b;c\"\r\n"),
            (["a", "b\tc"], "\"a\",\"b\tc\"\r\n"),
            (["a ", "b"], "\"a \",\"b\"\r\n"),
        ] {
            assert_eq!(row(cells), written);
        }
    }

    #[test]
    fn what_is_written_is_read() {
        let cells = ["a,b", "say \"x\"", "1\r\n2", "", "끝"];
        let text = row(["one", "two", "three", "four", "five"]) + &row(cells);
        let rows = read(&text).unwrap();
        assert_eq!(rows[1], (2, cells.map(str::to_owned).to_vec()));
    }

    #[test]
    fn rows_have_the_line_on_which_they_begin_and_cells_lose_their_blanks() {
        let text = "\u{feff}email; name\r\n\r\n a@b ;\"Ann;\n Lee\" \r\n;\n\"c@d\"";
        let rows = read(text).unwrap();
        let row = |line, cells: &[&str]| (line, cells.iter().map(|cell| (*cell).to_owned()).collect());
        let expected: Vec<(usize, Vec<String>)> = vec![
            row(1, &["email", "name"]),
            row(3, &["a@b", "Ann;\n Lee"]),
            row(6, &["c@d"]),
        ];
        assert_eq!(rows, expected);
    }

    #[test]
    fn a_quote_that_is_not_closed_is_told_with_its_line() {
        for (text, line) in [
            ("a\n\"b\nc", 2),
            ("\"a\"b", 1),
            ("a,b\nc,\"d\"e\n", 2),
            ("a,b\r\n\r\n\"c\nd\",\"\"\"e\n", 4),
            ("a, \"b,c\"\n", 1),
            ("a\nb \"c\" d", 2),
        ] {
            assert_eq!(read(text), Err(line), "{text:?}");
        }
    }
}
