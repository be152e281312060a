//! Reads the addresses to invite from a CSV file.

use std::collections::HashMap;
use std::io::{self, Read};
use std::path::Path;

use crate::cli::output::Failure;
use crate::cli::standard_stream;
use crate::csv;
use crate::services::Invitee;
use crate::text::Texts;

/// The most addresses of one command.
pub(super) const MOST: usize = 1000;

/// The most bytes of a file: more than that many addresses with names and groups have.
const LARGEST: u64 = 4 << 20;

/// The people of a CSV file. Its first line may name the columns: e-mail, name, groups and language, in any order;
/// otherwise the first column has the addresses, and no other is read. One row that is not an invitee, or that has what is
/// not read, is an error for the whole file; so is a language that `texts` are not in.
pub(super) fn read(file: &Path, texts: &Texts) -> Result<Vec<Invitee>, Failure> {
    let name = standard_stream::input_name(file);
    let text = standard_stream::open_input(file).and_then(|input| read_text(input, LARGEST));
    let text = text.map_err(|error| Failure::failed(format!("{name} cannot be read: {error}")))?;
    people(&text, texts).map_err(|fault| Failure::failed(format!("{name}: {fault}")))
}

/// Fails if there are no texts in the language of this tag, and mails would be written in another.
pub(super) fn require_language(tag: &str, texts: &Texts) -> Result<(), String> {
    if texts.language(tag).is_some() {
        return Ok(());
    }
    let known: Vec<&str> = texts.languages().map(|language| texts.tag(language)).collect();
    Err(format!(
        "{:?} is no language of pages and mails, which are {}",
        beginning(tag),
        known.join(", ")
    ))
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
    /// Whether each column has a name. `None` without a line that names them.
    named: Option<Vec<bool>>,
}

impl Columns {
    /// Without a line that names them.
    const UNNAMED: Self = Self {
        email: 0,
        name: None,
        groups: None,
        language: None,
        named: None,
    };

    fn named(titles: &[String]) -> Result<Self, String> {
        let (mut email, mut name, mut groups, mut language) = (None, None, None, None);
        for (index, title) in titles.iter().enumerate().filter(|(_, title)| !title.is_empty()) {
            let place = match &*title.to_lowercase().replace(['-', '_', ' '], "") {
                "email" | "emailaddress" | "address" | "mail" => &mut email,
                "name" | "displayname" => &mut name,
                "groups" | "group" => &mut groups,
                "language" | "lang" => &mut language,
                _ => {
                    return Err(format!(
                        "{:?} is neither an address nor the name of a column: email, name, groups or language",
                        beginning(title)
                    ));
                }
            };
            if let Some(earlier) = place.replace(index) {
                return Err(format!(
                    "the columns {:?} and {:?} are of one kind",
                    titles[earlier], title
                ));
            }
        }
        Ok(Self {
            email: email.ok_or("no column is called email")?,
            name,
            groups,
            language,
            named: Some(titles.iter().map(|title| !title.is_empty()).collect()),
        })
    }

    fn invitee(&self, row: &[String], texts: &Texts) -> Result<Invitee, String> {
        if let Some(named) = &self.named {
            let is_read = |index| named.get(index).is_some_and(|is_named| *is_named);
            let mut cells = row.iter().enumerate();
            if let Some((_, cell)) = cells.find(|(index, cell)| !cell.is_empty() && !is_read(*index)) {
                return Err(format!(
                    "{:?} is in a column that the first line does not name",
                    beginning(cell)
                ));
            }
        }
        let cell = |column: Option<usize>| {
            let cell = column.and_then(|column| row.get(column));
            cell.map(String::as_str).filter(|cell| !cell.is_empty())
        };
        let email = cell(Some(self.email)).unwrap_or_default();
        let groups = cell(self.groups).unwrap_or_default().split([',', ';']);
        let groups = groups.map(str::trim).filter(|group| !group.is_empty());
        let language = cell(self.language);
        if let Some(tag) = language {
            require_language(tag, texts)?;
        }
        Ok(Invitee {
            email: email
                .parse()
                .map_err(|error| format!("{}: {error}", beginning(email)))?,
            name: cell(self.name).map(str::to_owned),
            groups: groups.map(str::to_owned).collect(),
            language: language.map(str::to_owned),
        })
    }
}

/// So much of a text as a message needs.
fn beginning(text: &str) -> String {
    text.chars().take(60).collect()
}

fn people(text: &str, texts: &Texts) -> Result<Vec<Invitee>, String> {
    let rows = csv::read(text).map_err(|line| format!("line {line}: quotes are not around a whole cell"))?;
    let (mut people, mut lines): (Vec<Invitee>, HashMap<String, usize>) = (Vec::new(), HashMap::new());
    let mut columns = Columns::UNNAMED;
    for (index, (line, row)) in rows.iter().enumerate() {
        let at_line = |fault| format!("line {line}: {fault}");
        if index == 0 && !row.iter().any(|cell| cell.contains('@')) {
            columns = Columns::named(row).map_err(at_line)?;
            continue;
        }
        // Lines below a table that have no address are no people.
        if row.get(columns.email).is_none_or(String::is_empty) {
            continue;
        }
        let invitee = columns.invitee(row, texts).map_err(at_line)?;
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

    fn people(text: &str) -> Result<Vec<Invitee>, String> {
        super::people(text, &Texts::built_in().unwrap())
    }

    fn emails(text: &str) -> Vec<String> {
        let people = people(text).unwrap();
        people.iter().map(|invitee| invitee.email.to_string()).collect()
    }

    #[test]
    fn the_first_column_has_the_addresses() {
        let file = "\u{feff}E-mail,Name\r\nann@example.com,Ann\r\n\r\n\"bob@example.com\",Bob\nANN@example.com,Ann\n,total\n";
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
        let rows = people(file).unwrap();
        let ann = Invitee {
            email: "ann@example.com".parse().unwrap(),
            name: Some("Ann Lee".to_owned()),
            groups: ["dev".to_owned(), "ops".to_owned()].into(),
            language: Some("ko".to_owned()),
        };
        assert_eq!(rows[0], ann);
        assert_eq!(
            rows[1],
            "bob@example.com".parse::<crate::model::Email>().unwrap().into()
        );
        let comma = "email,groups\nann@example.com,\"ops,dev\"\n";
        assert_eq!(people(comma).unwrap()[0].groups, ann.groups);
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
    fn what_would_not_be_read_is_refused_with_its_line() {
        for (file, line, why) in [
            ("email,team\nann@example.com,ops\n", 1, "\"team\" is neither"),
            ("emial\nann@example.com\n", 1, "\"emial\" is neither"),
            ("nobody\nann@example.com\n", 1, "\"nobody\" is neither"),
            (
                "\nemail,mail\na@b.example,c@d.example\n",
                2,
                "\"email\" and \"mail\"",
            ),
            (
                "email,group,Groups\na@b.example,x,y\n",
                1,
                "\"group\" and \"Groups\"",
            ),
            ("name,groups\nAnn,ops\n", 1, "no column is called email"),
            (
                "email,name\nann@example.com,Ann,\nbob@example.com,Bob,ops\n",
                3,
                "\"ops\" is in a column",
            ),
            (
                "email,,name\nann@example.com,ops,Ann\n",
                2,
                "\"ops\" is in a column",
            ),
            (
                "email,lang\nann@example.com,ko\nbob@example.com,fr\n",
                3,
                "\"fr\" is no language",
            ),
        ] {
            let fault = people(file).unwrap_err();
            assert!(
                fault.starts_with(&format!("line {line}: ")) && fault.contains(why),
                "{file}: {fault}"
            );
        }
        assert_eq!(
            emails("email,name,,\nann@example.com,Ann,,,\n"),
            ["ann@example.com"]
        );
        let korean = people("email,lang\nann@example.com,ko-KR\n").unwrap();
        assert_eq!(korean[0].language.as_deref(), Some("ko-KR"));
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
