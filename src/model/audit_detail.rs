//! What else an auditor needs to know of an event: facts in a row, "session 0199…, access key AKIA…", which programs can
//! take apart as they can read them.

use std::collections::BTreeSet;
use std::fmt;

/// What is between two facts. In a value it has a backslash before it, as has a backslash.
const BETWEEN: &str = ", ";

named_enum! {
    /// What a fact is about. One whose name begins like that of another stands before it.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    DetailKey {
        /// The public name of a session.
        Session = "session",
        /// The public name of the session that took the place of another.
        ReplacedBy = "replaced by",
        /// The path of a page.
        Page = "page",
        /// The public half of an access key.
        AccessKey = "access key",
        /// What an account was called.
        OldName = "old name",
        /// What it is called now.
        NewName = "new name",
        /// The username of an account.
        Username = "username",
        /// Groups, with commas.
        Groups = "groups",
        /// The id of an invitation.
        Invitation = "invitation",
        /// When something ends.
        Until = "until",
        /// When something began.
        Since = "since",
        /// A kind of event.
        Event = "event",
        /// How many there were.
        Count = "count",
        /// A version of the terms.
        Version = "version",
        /// What was before and what is now, with " to " between.
        From = "from",
        /// The address that an account is to move to.
        To = "to",
        /// A language (BCP 47).
        Language = "language",
        /// The id of a mail.
        Mail = "mail",
        /// Keys of the configuration, with commas.
        Changed = "changed",
        /// The sessions that ended are all but the one that ended them.
        AllOthers = "all others",
        /// All sessions ended.
        All = "all",
        /// It is about to be done.
        Begins = "begins",
    }
}

impl DetailKey {
    fn is_bare(self) -> bool {
        matches!(self, Self::AllOthers | Self::All | Self::Begins)
    }
}

/// Facts in a row.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditDetail(Vec<(DetailKey, String)>);

impl AuditDetail {
    /// One fact.
    pub fn of(fact: DetailKey, value: &(impl fmt::Display + ?Sized)) -> Self {
        Self::default().and(fact, value)
    }

    /// A fact that says it all.
    pub fn bare(fact: DetailKey) -> Self {
        Self::of(fact, "")
    }

    /// The same and one more.
    #[must_use]
    pub fn and(mut self, fact: DetailKey, value: &(impl fmt::Display + ?Sized)) -> Self {
        self.0.push((fact, value.to_string()));
        self
    }

    /// All groups of an account; an empty list if it is in none.
    pub fn groups(groups: &BTreeSet<String>) -> Self {
        let names: Vec<&str> = groups.iter().map(String::as_str).collect();
        Self::of(DetailKey::Groups, &names.join(","))
    }

    /// The same and groups, if there are any.
    #[must_use]
    pub fn and_groups(mut self, groups: &BTreeSet<String>) -> Self {
        if !groups.is_empty() {
            self.0.extend(Self::groups(groups).0);
        }
        self
    }

    /// What was recorded; none if it is a text of another kind.
    pub fn read(text: &str) -> Option<Self> {
        parts(text)
            .iter()
            .map(|part| read(part))
            .collect::<Option<_>>()
            .map(Self)
    }

    /// Each fact with its value, which is empty where the fact says it all.
    pub fn facts(&self) -> impl Iterator<Item = (DetailKey, &str)> {
        self.0.iter().map(|(fact, value)| (*fact, value.as_str()))
    }

    /// What is said of this.
    pub fn get(&self, wanted: DetailKey) -> Option<&str> {
        let found = self.0.iter().find(|(fact, _)| *fact == wanted);
        found.map(|(_, value)| value.as_str())
    }
}

/// The facts as they are written, without the backslashes of their values.
fn parts(text: &str) -> Vec<String> {
    let (mut parts, mut rest) = (vec![String::new()], text.chars());
    while let Some(c) = rest.next() {
        if rest.as_str().starts_with(' ') && c == ',' {
            rest.next();
            parts.push(String::new());
            continue;
        }
        let plain = if c == '\\' { rest.next() } else { Some(c) };
        if let Some(part) = parts.last_mut() {
            part.extend(plain);
        }
    }
    parts
}

fn read(part: &str) -> Option<(DetailKey, String)> {
    DetailKey::ALL.iter().find_map(|fact| {
        let value = part.strip_prefix(fact.as_str())?;
        match value.strip_prefix(' ') {
            Some(value) if !fact.is_bare() => Some((*fact, value.to_owned())),
            None if value.is_empty() && fact.is_bare() => Some((*fact, String::new())),
            _ => None,
        }
    })
}

impl fmt::Display for AuditDetail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (fact, value)) in self.0.iter().enumerate() {
            let between = if index == 0 { "" } else { BETWEEN };
            let space = if fact.is_bare() { "" } else { " " };
            let value = value.replace('\\', r"\\").replace(BETWEEN, r"\, ");
            write!(f, "{between}{}{space}{value}", fact.as_str())?;
        }
        Ok(())
    }
}

impl From<AuditDetail> for String {
    fn from(detail: AuditDetail) -> Self {
        detail.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn facts_are_read_as_they_are_written() {
        let detail = AuditDetail::of(DetailKey::Username, "kim").and(DetailKey::Groups, "ops,dev");
        assert_eq!(detail.to_string(), "username kim, groups ops,dev");
        assert_eq!(AuditDetail::read(&detail.to_string()), Some(detail.clone()));
        assert_eq!(detail.get(DetailKey::Groups), Some("ops,dev"));
        assert_eq!(detail.get(DetailKey::Session), None);
        let name = r"Ann, session 1\, all, \\, x,";
        let detail = AuditDetail::of(DetailKey::OldName, name).and(DetailKey::NewName, r"\");
        let read = AuditDetail::read(&detail.to_string()).unwrap();
        assert_eq!(read, detail, "a value says nothing but itself");
        for fact in DetailKey::ALL {
            let value = if fact.is_bare() { "" } else { "x" };
            let detail = AuditDetail::of(*fact, value);
            assert_eq!(AuditDetail::read(&detail.to_string()), Some(detail), "{fact:?}");
        }
    }

    #[test]
    fn other_texts_are_no_facts() {
        for text in [
            "",
            "x",
            "session",
            "all x",
            "sessions x",
            "username kim, and so on",
        ] {
            assert_eq!(AuditDetail::read(text), None, "{text:?}");
        }
    }
}
