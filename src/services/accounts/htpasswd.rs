//! Import of accounts from an htpasswd file.

use std::collections::BTreeSet;

use super::{AccountError, Accounts, NewAccount, NewPassword};
use crate::model::{Account, Email, Username};
use crate::services::password_hash::PasswordHash;
use crate::services::{Actor, Origin};

/// The result of one line.
#[derive(Debug)]
pub struct ImportedLine {
    /// Its number, from 1.
    pub number: usize,
    /// The name on the line.
    pub name: String,
    /// The account that was created, or the error.
    pub result: Result<Account, AccountError>,
}

/// A line `name:hash` of an htpasswd file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HtpasswdLine<'l> {
    name: &'l str,
    text: &'l str,
}

impl<'l> HtpasswdLine<'l> {
    /// Parses a line; `None` if it is empty or a comment. Drops a byte order mark, which editors put before
    /// the first line.
    pub fn read(line: &'l str) -> Option<Self> {
        let text = line.trim_start_matches('\u{feff}').trim();
        if text.is_empty() || text.starts_with('#') {
            return None;
        }
        let name = text.split(':').next().unwrap_or_default();
        Some(Self { name, text })
    }

    /// The name on the line.
    pub fn name(self) -> &'l str {
        self.name
    }

    /// Turns the line into a request. A name with an `@` is an address; another is a username, whose address
    /// gets `host`, that of `public_url`.
    pub fn account(self, host: &str) -> Result<NewAccount, AccountError> {
        let (name, hash) = self.text.split_once(':').ok_or(AccountError::NotALine)?;
        let (address, username) = if name.contains('@') {
            (name.to_owned(), None)
        } else {
            (format!("{name}@{host}"), name.parse::<Username>().ok())
        };
        let email: Email = address
            .parse()
            .map_err(|error| AccountError::Email(name.to_owned(), error))?;
        PasswordHash::parse(hash).ok_or(AccountError::NotAHash)?;
        Ok(NewAccount {
            email,
            username,
            name: None,
            groups: BTreeSet::new(),
            password: NewPassword::Hash(hash.to_owned()),
        })
    }
}

impl Accounts {
    /// Creates an account for each line of `text` in one transaction. `first` is the number of the first
    /// line, since a file comes in parts. A refused line does not stop those after it.
    pub async fn import_htpasswd(
        &self,
        text: &str,
        first: usize,
        by: &Actor,
        origin: &Origin,
    ) -> Vec<ImportedLine> {
        let host = self.public_url.host_str().unwrap_or_default();
        let lines = text.lines().enumerate();
        let lines = lines.filter_map(|(index, line)| Some((first + index, HtpasswdLine::read(line)?)));
        let (mut places, mut wanted) = (Vec::new(), Vec::new());
        for (number, line) in lines {
            places.push((number, line.name().to_owned()));
            wanted.push(line.account(host));
        }
        let results = self.add_all(wanted, by, origin).await;
        let imported = places.into_iter().zip(results);
        imported
            .map(|((number, name), result)| ImportedLine { number, name, result })
            .collect()
    }
}
