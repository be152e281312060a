//! Import of accounts from an htpasswd file.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::{AccountError, Accounts, InitialPassword, NewAccount, NewPassword};
use crate::model::{Account, Email, Username};
use crate::services::password_hash::PasswordHash;
use crate::services::{Actor, Origin};

/// What the accounts of an htpasswd file have that no line says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HtpasswdDefaults {
    /// The domain of the address of a name without `@`.
    pub domain: Option<String>,
    /// The groups.
    pub groups: BTreeSet<String>,
}

/// What became of one line of a file, or would.
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

    /// The account that it asks for. A name with an `@` is an e-mail address. Any other is a username, whose address needs
    /// `defaults.domain`: none is made up, since the owner of the mailbox can take the account over.
    pub fn account(self, defaults: &HtpasswdDefaults) -> Result<NewAccount, AccountError> {
        let (name, hash) = self.text.split_once(':').ok_or(AccountError::NotALine)?;
        let (address, username) = match &defaults.domain {
            _ if name.contains('@') => (name.to_owned(), None),
            Some(domain) => (format!("{name}@{domain}"), name.parse::<Username>().ok()),
            None => return Err(AccountError::NoAddress(name.to_owned())),
        };
        let email: Email = address
            .parse()
            .map_err(|error| AccountError::Email(name.to_owned(), error))?;
        PasswordHash::parse(hash).ok_or(AccountError::NotAHash)?;
        Ok(NewAccount {
            email,
            username,
            name: None,
            groups: defaults.groups.clone(),
            password: InitialPassword::Set(NewPassword::Hash(hash.to_owned())),
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
        defaults: &HtpasswdDefaults,
        by: &Actor,
        origin: &Origin,
    ) -> Vec<ImportedLine> {
        let (places, wanted) = lines_of(text, first, defaults);
        zipped(places, self.add_all(wanted, by, origin).await)
    }

    /// What [`import_htpasswd`](Self::import_htpasswd) would make of the lines now. Nothing is added.
    pub async fn preview_htpasswd(
        &self,
        text: &str,
        first: usize,
        defaults: &HtpasswdDefaults,
    ) -> Vec<ImportedLine> {
        let (places, wanted) = lines_of(text, first, defaults);
        zipped(places, self.preview_all(wanted).await)
    }
}

type Place = (usize, String);

fn lines_of(
    text: &str,
    first: usize,
    defaults: &HtpasswdDefaults,
) -> (Vec<Place>, Vec<Result<NewAccount, AccountError>>) {
    let lines = text.lines().enumerate();
    let lines = lines.filter_map(|(index, line)| Some((first + index, HtpasswdLine::read(line)?)));
    lines
        .map(|(number, line)| ((number, line.name().to_owned()), line.account(defaults)))
        .unzip()
}

fn zipped(places: Vec<Place>, results: Vec<Result<Account, AccountError>>) -> Vec<ImportedLine> {
    let lines = places.into_iter().zip(results);
    lines
        .map(|((number, name), result)| ImportedLine { number, name, result })
        .collect()
}
