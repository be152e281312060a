//! The detail of an audit event as a list of facts, `session 0199…, access key AKIA…`: text for people that
//! programs parse back.

use std::collections::BTreeSet;
use std::fmt;

use super::Account;

/// The separator of facts. Within a value it is escaped with a backslash, as is a backslash.
const BETWEEN: &str = ", ";

named_enum! {
    /// What a fact is about. A key that has another as its prefix is declared before it, so that parsing
    /// finds the longer one.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    DetailKey {
        /// The public id of a session.
        Session = "session",
        /// The public id of the session that replaced another.
        ReplacedBy = "replaced by",
        /// The path of a page.
        Page = "page",
        /// The id of an access key.
        AccessKey = "access key",
        /// The display name before.
        OldName = "old name",
        /// The display name now.
        NewName = "new name",
        /// A username.
        Username = "username",
        /// Groups, separated by commas.
        Groups = "groups",
        /// The id of an invitation.
        Invitation = "invitation",
        /// When something ends.
        Until = "until",
        /// When something began.
        Since = "since",
        /// The kind of an event.
        Event = "event",
        /// A number of events.
        Count = "count",
        /// The version of the terms.
        Version = "version",
        /// The values before and now, separated by " to ".
        From = "from",
        /// The new address in a requested change.
        To = "to",
        /// A language (BCP 47).
        Language = "language",
        /// The id of a mail.
        Mail = "mail",
        /// Configuration keys, separated by commas.
        Changed = "changed",
        /// All sessions ended but the one that asked for it. Has no value.
        AllOthers = "all others",
        /// All sessions ended. Has no value.
        All = "all",
        /// The action is about to begin. Has no value.
        Begins = "begins",
    }
}

impl DetailKey {
    fn is_bare(self) -> bool {
        matches!(self, Self::AllOthers | Self::All | Self::Begins)
    }
}

/// The facts of an event, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditDetail(Vec<(DetailKey, String)>);

impl AuditDetail {
    /// Makes a detail of one fact.
    pub fn of(fact: DetailKey, value: &(impl fmt::Display + ?Sized)) -> Self {
        Self::default().and(fact, value)
    }

    /// Makes a detail of one fact without a value.
    pub fn bare(fact: DetailKey) -> Self {
        Self::of(fact, "")
    }

    /// Makes a detail of the display names before and now; what has none is left out.
    pub fn names(before: &Account, now: &Account) -> Self {
        let named = [
            (DetailKey::OldName, &before.name),
            (DetailKey::NewName, &now.name),
        ];
        let mut detail = Self::default();
        for (fact, name) in named {
            if let Some(name) = name {
                detail = detail.and(fact, name);
            }
        }
        detail
    }

    /// Adds a fact.
    #[must_use]
    pub fn and(mut self, fact: DetailKey, value: &(impl fmt::Display + ?Sized)) -> Self {
        self.0.push((fact, value.to_string()));
        self
    }

    /// Makes a detail of an account's groups; the value is empty if there are none.
    pub fn groups(groups: &BTreeSet<String>) -> Self {
        let names: Vec<&str> = groups.iter().map(String::as_str).collect();
        Self::of(DetailKey::Groups, &names.join(","))
    }

    /// Adds the groups; nothing if there are none.
    #[must_use]
    pub fn and_groups(mut self, groups: &BTreeSet<String>) -> Self {
        if !groups.is_empty() {
            self.0.extend(Self::groups(groups).0);
        }
        self
    }

    /// Parses a recorded detail; `None` if any part of it is no fact.
    pub fn read(text: &str) -> Option<Self> {
        parts(text)
            .iter()
            .map(|part| read(part))
            .collect::<Option<_>>()
            .map(Self)
    }

    /// The facts with their values; the value of a bare fact is empty.
    pub fn facts(&self) -> impl Iterator<Item = (DetailKey, &str)> {
        self.0.iter().map(|(fact, value)| (*fact, value.as_str()))
    }

    /// The value of the first fact with this key.
    pub fn get(&self, wanted: DetailKey) -> Option<&str> {
        let found = self.0.iter().find(|(fact, _)| *fact == wanted);
        found.map(|(_, value)| value.as_str())
    }
}

/// Splits a text at its unescaped separators and removes the escapes.
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
