//! Users of the operating system.

use std::fmt;
use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

/// A user id, displayed by name if `/etc/passwd` has one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SystemUser(u32);

impl SystemUser {
    /// Returns the effective user of this process.
    pub fn current() -> Self {
        Self(rustix::process::geteuid().as_raw())
    }

    /// Returns the user with this id.
    pub fn of(uid: u32) -> Self {
        Self(uid)
    }

    /// Returns the owner of a file.
    pub fn owner_of(about: &Metadata) -> Self {
        Self(about.uid())
    }

    /// Whether it is root.
    pub fn is_root(self) -> bool {
        self.0 == 0
    }

    /// Returns the prefix of a command line that runs as this user.
    pub fn sudo(self) -> String {
        match self.name() {
            Some(name) => format!("sudo -u {name}"),
            None => format!("sudo -u '#{}'", self.0),
        }
    }

    fn name(self) -> Option<String> {
        name_in(&fs::read_to_string("/etc/passwd").ok()?, self.0)
    }
}

/// Says who else owns the file, or the folder that has it where it cannot be seen, and what hands it over to this process's
/// user. `None` if it is this process's own, or root runs this.
pub fn owner_in_the_way(path: &Path) -> Option<String> {
    let current = SystemUser::current();
    let there = [Some(path), path.parent()];
    let (path, about) = there
        .into_iter()
        .flatten()
        .find_map(|path| Some((path, fs::metadata(path).ok()?)))?;
    let owner = SystemUser::owner_of(&about);
    (owner != current && !current.is_root()).then(|| {
        let path = path.display();
        format!("{path} belongs to {owner}, and this runs as {current}; run as root: chown {current} {path}")
    })
}

impl fmt::Display for SystemUser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(&name),
            None => self.0.fmt(f),
        }
    }
}

/// Finds a name in passwd(5): `name:password:number:…`
fn name_in(passwd: &str, number: u32) -> Option<String> {
    passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)?.parse() == Ok(number)).then(|| name.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_has_the_name_that_passwd_gives_it() {
        let passwd = "root:x:0:0:root:/root:/bin/sh\n\nvestibule:x:998:998::/srv/v:/usr/sbin/nologin\n";
        assert_eq!(name_in(passwd, 998).as_deref(), Some("vestibule"));
        assert_eq!(name_in(passwd, 0).as_deref(), Some("root"));
        assert_eq!(name_in(passwd, 99), None);
        let nobody_has = SystemUser(4_000_000_000);
        assert_eq!(nobody_has.sudo(), "sudo -u '#4000000000'");
        assert_eq!(nobody_has.to_string(), "4000000000");
    }
}
