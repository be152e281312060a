//! Reads the addresses to invite from a CSV file.

use std::collections::HashMap;
use std::io::{self, Read};
use std::path::Path;

use crate::cli::output::Failure;
use crate::cli::standard_stream;
use crate::csv;
use crate::services::Invitee;

/// The most addresses of one command.
pub(super) const MOST: usize = 1000;

/// The most bytes of a file: more than that many addresses with names and groups have.
const LARGEST: u64 = 4 << 20;

/// The people of a CSV file. Its first line may name the columns: e-mail, name, groups and language, in any order, others are
/// passed over; otherwise the first column has the addresses. One row that is not an invitee is an error for the whole file.
pub(super) fn read(file: &Path) -> Result<Vec<Invitee>, Failure> {
    let name = standard_stream::input_name(file);
    let text = standard_stream::open_input(file).and_then(|input| read_text(input, LARGEST));
    let text = text.map_err(|error| Failure::failed(format!("{name} cannot be read: {error}")))?;
    people(&text).map_err(|fault| Failure::failed(format!("{name}: {fault}")))
}

fn read_text(input: impl Read, largest: u64) -> io::Result<String> {
    let mut content = Vec::new();
    input.take(largest + 1).read_to_end(&mut content)?;
    let error = if content.len() as u64 > largest {
        format!(
            "it is larger than {} MiB: no list of {MOST} addresses is",
            largest >> 20
        )
    } else {
        match String::from_utf8(content) {
            Ok(text) => return Ok(text),
            Err(_) => "it is not UTF-8".to_owned(),
        }
    };
    Err(io::Error::new(io::ErrorKind::InvalidData, error))
}

/// Where the columns are.
struct Columns {
    email: usize,
    name: Option<usize>,
    groups: Option<usize>,
    language: Option<usize>,
}

impl Columns {
    /// Without a line that names them.
    const UNNAMED: Self = Self {
        email: 0,
        name: None,
        groups: None,
        language: None,
    };

    fn named(titles: &[String]) -> Self {
        let column = |names: &[&str]| {
            titles.iter().position(|title| {
                let title = title.to_lowercase().replace(['-', '_', ' '], "");
                names.contains(&title.as_str())
            })
        };
        Self {
            email: column(&["email", "emailaddress", "address", "mail"]).unwrap_or(0),
            name: column(&["name", "displayname"]),
            groups: column(&["groups", "group"]),
            language: column(&["language", "lang"]),
        }
    }

    fn invitee(&self, row: &[String]) -> Result<Invitee, String> {
        let cell = |column: Option<usize>| {
            let cell = column.and_then(|column| row.get(column));
            cell.map(String::as_str).filter(|cell| !cell.is_empty())
        };
        let email = cell(Some(self.email)).unwrap_or_default();
        let groups = cell(self.groups).unwrap_or_default().split([',', ';']);
        let groups = groups.map(str::trim).filter(|group| !group.is_empty());
        Ok(Invitee {
            email: email.parse().map_err(|error| format!("{email}: {error}"))?,
            name: cell(self.name).map(str::to_owned),
            groups: groups.map(str::to_owned).collect(),
            language: cell(self.language).map(str::to_owned),
        })
    }
}

fn people(text: &str) -> Result<Vec<Invitee>, String> {
    let rows = csv::read(text).map_err(|line| format!("line {line}: quotes are not around a whole cell"))?;
    let (mut people, mut lines): (Vec<Invitee>, HashMap<String, usize>) = (Vec::new(), HashMap::new());
    let mut columns = Columns::UNNAMED;
    for (index, (line, row)) in rows.iter().enumerate() {
        if index == 0 && !row.iter().any(|cell| cell.contains('@')) {
            columns = Columns::named(row);
            continue;
        }
        // Lines below a table that have no address are no people.
        if row.get(columns.email).is_none_or(String::is_empty) {
            continue;
        }
        let invitee = columns
            .invitee(row)
            .map_err(|fault| format!("line {line}: {fault}"))?;
        let earlier = lines.insert(invitee.email.key().to_owned(), *line);
        match earlier {
            None => people.push(invitee),
            Some(_) if people.contains(&invitee) => {}
            Some(earlier) => {
                return Err(format!(
                    "line {line}: {} stands on line {earlier} too, otherwise",
                    invitee.email
                ));
            }
        }
    }
    match people.len() {
        0 => Err("there is no address in it".to_owned()),
        many if many > MOST => Err(format!("more than {MOST} addresses")),
        _ => Ok(people),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn emails(text: &str) -> Vec<String> {
        let people = people(text).unwrap();
        people.iter().map(|invitee| invitee.email.to_string()).collect()
    }

    #[test]
    fn the_first_column_has_the_addresses() {
        let file = "\u{feff}E-mail,Other\r\nann@example.com,Ann\r\n\r\n\"bob@example.com\",Bob\nANN@example.com\n,total\n";
        assert_eq!(emails(file), ["ann@example.com", "bob@example.com"]);
        assert_eq!(
            emails("ann@example.com;Ann\nbob@example.com;Bob\n"),
            ["ann@example.com", "bob@example.com"]
        );
    }

    #[test]
    fn columns_are_found_by_their_names() {
        let file =
            "Name;E-Mail;Groups;Lang\r\nAnn Lee;ann@example.com;\"ops; dev\";ko\r\n;bob@example.com;;\r\n";
        let people = people(file).unwrap();
        let ann = Invitee {
            email: "ann@example.com".parse().unwrap(),
            name: Some("Ann Lee".to_owned()),
            groups: ["dev".to_owned(), "ops".to_owned()].into(),
            language: Some("ko".to_owned()),
        };
        assert_eq!(people[0], ann);
        assert_eq!(
            people[1],
            "bob@example.com".parse::<crate::model::Email>().unwrap().into()
        );
        let comma = "email,groups\nann@example.com,\"ops,dev\"\n";
        assert_eq!(super::people(comma).unwrap()[0].groups, ann.groups);
    }

    #[test]
    fn a_line_that_is_not_an_address_is_named() {
        let fault = people("ann@example.com\nnobody").unwrap_err();
        assert!(fault.starts_with("line 2: nobody: "), "{fault}");
        let fault = people("email,name\nann@example.com,Ann\nann@example.com,Anna").unwrap_err();
        assert!(
            fault.starts_with("line 3: ann@example.com stands on line 2"),
            "{fault}"
        );
        let fault = people("ann@example.com\n\"bob@example.com").unwrap_err();
        assert!(fault.starts_with("line 2: "), "{fault}");
        assert!(people("email\n").is_err());
        let many: Vec<String> = (0..=MOST).map(|n| format!("a{n}@example.com")).collect();
        assert!(people(&many.join("\n")).is_err());
    }

    #[test]
    fn a_file_without_an_end_is_read_to_the_limit() {
        let error = read_text(io::repeat(b'a'), 1 << 20).unwrap_err().to_string();
        assert!(error.starts_with("it is larger than 1 MiB"), "{error}");
        assert_eq!(read_text(&b"ann"[..], 3).unwrap(), "ann");
        assert!(read_text(&b"anna"[..], 3).is_err());
        assert_eq!(
            read_text(&b"\xff"[..], 3).unwrap_err().to_string(),
            "it is not UTF-8"
        );
    }
}
