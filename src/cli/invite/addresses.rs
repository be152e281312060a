//! Reads the addresses to invite from a CSV file.

use std::io;
use std::path::Path;

use crate::cli::output::Failure;
use crate::cli::standard_stream;
use crate::model::Email;

/// The most addresses of one command.
pub(super) const MOST: usize = 1000;

/// Reads the first column of a CSV file, without its heading and empty lines. Fails if one cell is no
/// address.
pub(super) fn read(file: &Path) -> Result<Vec<Email>, Failure> {
    let name = standard_stream::input_name(file);
    let text = standard_stream::open_input(file).and_then(io::read_to_string);
    let text = text.map_err(|error| Failure::failed(format!("{name} cannot be read: {error}")))?;
    addresses(&text).map_err(|fault| Failure::failed(format!("{name}: {fault}")))
}

fn addresses(text: &str) -> Result<Vec<Email>, String> {
    let mut addresses: Vec<Email> = Vec::new();
    for (index, line) in text.trim_start_matches('\u{feff}').lines().enumerate() {
        let cell = line.split([',', ';', '\t']).next().unwrap_or_default();
        let cell = cell.trim().trim_matches('"').trim();
        if cell.is_empty() || (index == 0 && !cell.contains('@')) {
            continue;
        }
        let address = cell
            .parse()
            .map_err(|error| format!("line {}: {cell}: {error}", index + 1))?;
        if !addresses.contains(&address) {
            addresses.push(address);
        }
    }
    match addresses.len() {
        0 => Err("there is no address in it".to_owned()),
        many if many > MOST => Err(format!("more than {MOST} addresses")),
        _ => Ok(addresses),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_column_has_the_addresses() {
        let file =
            "\u{feff}E-mail,Name\r\nann@example.com,Ann\r\n\r\n\"bob@example.com\";Bob\nANN@example.com\n";
        let found = addresses(file).unwrap();
        let found: Vec<&str> = found.iter().map(Email::as_str).collect();
        assert_eq!(found, ["ann@example.com", "bob@example.com"]);
    }

    #[test]
    fn a_line_that_is_not_an_address_is_named() {
        let fault = addresses("ann@example.com\nnobody").unwrap_err();
        assert!(fault.starts_with("line 2: nobody: "), "{fault}");
        assert!(addresses("email\n").is_err());
        let many: Vec<String> = (0..=MOST).map(|n| format!("a{n}@example.com")).collect();
        assert!(addresses(&many.join("\n")).is_err());
    }
}
