//! Comma-separated values (RFC 4180), read and written.

/// One row with its line break. A cell that a spreadsheet would run as a formula begins with `'`, which has it shown as
/// text (OWASP, CSV injection).
pub(crate) fn row<'c>(cells: impl IntoIterator<Item = &'c str>) -> String {
    let cells: Vec<String> = cells.into_iter().map(cell).collect();
    cells.join(",") + "\r\n"
}

fn cell(text: &str) -> String {
    let guard = if is_formula(text) { "'" } else { "" };
    if text.contains(['"', ',', ';', '\t', '\r', '\n']) || text.trim() != text {
        format!("\"{guard}{}\"", text.replace('"', "\"\""))
    } else {
        format!("{guard}{text}")
    }
}

/// Whether a spreadsheet may take a cell for a formula, which some do after blanks and for full-width signs too.
fn is_formula(text: &str) -> bool {
    text.starts_with(['\t', '\r', '\n'])
        || text
            .trim_start()
            .starts_with(['=', '+', '-', '@', '＝', '＋', '－', '＠'])
}

/// The rows of a text, each with the number of the line on which it begins, from 1. The separator is the one of comma,
/// semicolon and tab that the first line has outside quotes, the comma before the others. Blanks around a cell that is
/// not quoted are dropped; a row without anything in it is none.
///
/// # Errors
/// The number of the line on which a quoted cell begins that is not closed, or is followed by more than a separator.
pub(crate) fn read(text: &str) -> Result<Vec<(usize, Vec<String>)>, usize> {
    let text = text.trim_start_matches('\u{feff}');
    let separator = separator(text);
    let mut rows = Vec::new();
    let (mut line, mut rest) = (1, text);
    while !rest.is_empty() {
        let begins_at = line;
        let mut row = Vec::new();
        loop {
            let (cell, after) = take_cell(rest, separator).ok_or(line)?;
            line += rest[..rest.len() - after.len()].matches('\n').count();
            row.push(cell);
            if let Some(next) = after.strip_prefix(separator) {
                rest = next;
                continue;
            }
            let after = after.strip_prefix('\r').unwrap_or(after);
            rest = after.strip_prefix('\n').unwrap_or(after);
            line += 1;
            break;
        }
        if row.iter().any(|cell| !cell.is_empty()) {
            rows.push((begins_at, row));
        }
    }
    Ok(rows)
}

/// A cell, and what follows it, which begins with a separator or a line break unless it is the end.
fn take_cell(text: &str, separator: char) -> Option<(String, &str)> {
    let ends = |c: char| c == separator || c == '\r' || c == '\n';
    let blank = |c: char| c == ' ' || (c == '\t' && separator != '\t');
    let Some(mut quoted) = text.trim_start_matches(blank).strip_prefix('"') else {
        let (cell, after) = text.split_at(text.find(ends).unwrap_or(text.len()));
        return Some((cell.trim().to_owned(), after));
    };
    let mut cell = String::new();
    loop {
        let (piece, after) = quoted.split_once('"')?;
        cell.push_str(piece);
        let Some(more) = after.strip_prefix('"') else {
            let after = after.trim_start_matches(blank);
            let is_over = after.is_empty() || after.starts_with(ends);
            return is_over.then_some((cell, after));
        };
        cell.push('"');
        quoted = more;
    }
}

fn separator(text: &str) -> char {
    let first = text.lines().next().unwrap_or_default();
    let unquoted: String = first.split('"').step_by(2).collect();
    let known = [',', ';', '\t'];
    known.into_iter().find(|c| unquoted.contains(*c)).unwrap_or(',')
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
            ("a=1", "a=1"),
            ("ann-lee@example.com", "ann-lee@example.com"),
        ] {
            assert_eq!(row([text]), format!("{cell}\r\n"), "{text:?}");
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
        for (text, line) in [("a\n\"b\nc", 2), ("\"a\"b", 1), ("a,b\nc,\"d\"e\n", 2)] {
            assert_eq!(read(text), Err(line), "{text:?}");
        }
    }
}
