//! Accounts from an htpasswd file.

use std::collections::BTreeSet;

use super::{AccountError, Accounts, NewAccount, NewPassword};
use crate::model::{Account, Email, Username};
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

impl Accounts {
    /// Adds an account for every line `name:hash` of an htpasswd file; empty lines and `#` comments are passed over.
    ///
    /// A name with an `@` is an e-mail address. Any other is a username, whose address is made with the host of
    /// `public_url`. A line that is refused does not stop those after it.
    pub async fn import_htpasswd(&self, text: &str, by: &Actor, origin: &Origin) -> Vec<ImportedLine> {
        let mut imported = Vec::new();
        for (index, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let name = line.split(':').next().unwrap_or_default().to_owned();
            let result = match self.read_line(line) {
                Ok(new) => self.add(new, by, origin).await,
                Err(error) => Err(error),
            };
            imported.push(ImportedLine {
                number: index + 1,
                name,
                result,
            });
        }
        imported
    }

    fn read_line(&self, line: &str) -> Result<NewAccount, AccountError> {
        let (name, hash) = line.split_once(':').ok_or(AccountError::NotALine)?;
        let (address, username) = if name.contains('@') {
            (name.to_owned(), None)
        } else {
            let host = self.public_url.host_str().unwrap_or_default();
            (format!("{name}@{host}"), name.parse::<Username>().ok())
        };
        let email: Email = address
            .parse()
            .map_err(|error| AccountError::Email(name.to_owned(), error))?;
        Ok(NewAccount {
            email,
            username,
            name: None,
            groups: BTreeSet::new(),
            password: NewPassword::Hash(hash.to_owned()),
        })
    }
}
