//! Accounts from an htpasswd file.

use std::collections::BTreeSet;

use super::{AccountError, Accounts, NewAccount, NewPassword};
use crate::model::{Account, Email, Username};
use crate::services::password_hash::PasswordHash;
use crate::services::{Actor, Origin};

/// What became of one line of a file.
#[derive(Debug)]
pub struct ImportedLine {
    /// Its number, from 1.
    pub number: usize,
    /// The name on it.
    pub name: String,
    /// The account that it made.
    pub result: Result<Account, AccountError>,
}

/// A line `name:hash` of an htpasswd file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HtpasswdLine<'l> {
    name: &'l str,
    text: &'l str,
}

impl<'l> HtpasswdLine<'l> {
    /// Reads a line; none if it is empty, or a comment. A byte order mark, which editors put before the first one, is
    /// dropped.
    pub fn read(line: &'l str) -> Option<Self> {
        let text = line.trim_start_matches('\u{feff}').trim();
        if text.is_empty() || text.starts_with('#') {
            return None;
        }
        let name = text.split(':').next().unwrap_or_default();
        Some(Self { name, text })
    }

    /// The name on it.
    pub fn name(self) -> &'l str {
        self.name
    }

    /// The account that it asks for. A name with an `@` is an e-mail address. Any other is a username, whose address is
    /// made with the host of `public_url`.
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
    /// Adds an account for every line of an htpasswd file, or of a part of one that begins with the line of this number:
    /// in one step of the store. A line that is refused does not stop those after it.
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
