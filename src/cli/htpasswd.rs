//! Files that Apache's htpasswd writes: a line `name:hash` for each account, `#` before a comment.

use std::collections::BTreeSet;

use crate::control::{GivenPassword, NewUser};
use crate::model::{Email, Username};

/// The accounts of a file, or everything that is wrong with it, a sentence each.
///
/// A name that is no address becomes the username, and the address is made of it and `domain`.
pub(super) fn parse(text: &str, domain: &str) -> Result<Vec<NewUser>, Vec<String>> {
    let mut users = Vec::new();
    let mut faults = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        match parse_line(line, domain) {
            Ok(user) => users.push(user),
            Err(fault) => faults.push(format!("line {number}: {fault}")),
        }
    }
    if faults.is_empty() { Ok(users) } else { Err(faults) }
}

fn parse_line(line: &str, domain: &str) -> Result<NewUser, String> {
    // The fields after the second, if any, are remarks.
    let mut fields = line.split(':');
    let (Some(name), Some(hash)) = (fields.next(), fields.next()) else {
        return Err("not of the form name:hash".to_owned());
    };
    if !["$2a$", "$2b$", "$2y$"]
        .iter()
        .any(|prefix| hash.starts_with(prefix))
    {
        return Err(format!(
            "{name} has no bcrypt hash ($2a$, $2b$ or $2y$): invite them, or add them with another password"
        ));
    }
    let (email, username) = if name.contains('@') {
        (name.to_owned(), None)
    } else {
        let username: Username = name.parse().map_err(|error| format!("{name}: {error}"))?;
        (format!("{username}@{domain}"), Some(username))
    };
    let email: Email = email.parse().map_err(|error| format!("{email}: {error}"))?;
    Ok(NewUser {
        email,
        username,
        name: None,
        groups: BTreeSet::new(),
        password: GivenPassword::Hash(hash.to_owned()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const HASH: &str = "$2y$05$abcdefghijklmnopqrstuuS9gJ7eGzQp7dGx3Pn4kq6e3qkqVbq7W";

    #[test]
    fn names_and_addresses_become_accounts() {
        let file = format!("# people\n\nann:{HASH}\r\nbob@example.com:{HASH}:a remark\n");
        let users = parse(&file, "example.org").unwrap();
        let named: Vec<_> = users
            .iter()
            .map(|user| {
                let username = user.username.as_ref().map(Username::as_str);
                (user.email.as_str(), username)
            })
            .collect();
        assert_eq!(
            named,
            [("ann@example.org", Some("ann")), ("bob@example.com", None)]
        );
        assert!(matches!(&users[1].password, GivenPassword::Hash(hash) if hash == HASH));
    }

    #[test]
    fn everything_that_is_wrong_is_said_at_once() {
        let file = format!("ann:$apr1$x$y\nnonsense\na b:{HASH}\nbob:{HASH}\n@:{HASH}");
        let faults = parse(&file, "example.org").unwrap_err();
        assert_eq!(faults.len(), 4, "{faults:?}");
        assert!(faults[0].starts_with("line 1: ann has no bcrypt hash"));
        assert!(faults[3].starts_with("line 5: "));
    }
}
