//! What the gateway writes must not be what it reads, nor what it keeps elsewhere: a log in place of the master key would
//! make the key unreadable.

use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use super::Findings;
use crate::config::toml_document::KeyPath;
use crate::config::{Config, MailTransport, PlainAddress, SecretSource, StoreLocation};

/// The most links that lead from one to another (`path_resolution(7)`).
const MOST_LINKS: usize = 40;

/// A path that the configuration names, or that the gateway takes by itself.
struct Place {
    /// The key that says it, or what it is.
    name: String,
    path: PathBuf,
    use_of: Use,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Use {
    /// A file that is read, or that the gateway makes for itself.
    File,
    /// A folder whose content is the gateway's or is read by it.
    Folder,
    /// A file that lines are appended to.
    Log,
    /// A socket that is made.
    Socket,
    /// A folder that mails are written into.
    Outbox,
}

pub(super) fn validate(config: &Config, findings: &mut Findings<'_, '_>) {
    let places = places(config, findings.file);
    for (index, place) in places.iter().enumerate() {
        if matches!(place.use_of, Use::File | Use::Folder) {
            continue;
        }
        if place.use_of == Use::Outbox
            && let Some(file) = file_in_the_way(&place.path)
        {
            let message = format!("{} is no folder", file.display());
            findings.error(&KeyPath::parse(&place.name), message);
            continue;
        }
        if matches!(place.use_of, Use::Log | Use::Socket) && is_of_a_folder(&place.path) {
            let message = format!("{} is the path of a folder, not of a file", place.path.display());
            findings.error(&KeyPath::parse(&place.name), message);
            continue;
        }
        let others = places.iter().enumerate();
        // Of two that are written the later one is told of.
        let others =
            others.filter(|(at, other)| *at < index || matches!(other.use_of, Use::File | Use::Folder));
        let conflict = others.map(|(_, other)| other).find_map(|other| {
            let what = place.conflict(other)?;
            Some(format!("{} is {what} {}", place.path.display(), other.name))
        });
        if let Some(message) = conflict {
            findings.error(&KeyPath::parse(&place.name), message);
        }
    }
}

/// Files first, then what is written.
fn places(config: &Config, file: &str) -> Vec<Place> {
    let mut places = Vec::new();
    let mut add = |use_of: Use, name: &str, path: &Path| {
        if !path.as_os_str().is_empty() {
            places.push(Place {
                name: name.to_owned(),
                path: path.to_owned(),
                use_of,
            });
        }
    };
    add(Use::File, "the configuration", Path::new(file));
    add(
        Use::Folder,
        "the gateway's folder of certificates",
        &config.certs(),
    );
    if let Ok(StoreLocation::Sled(folder)) = config.store.location() {
        add(Use::Folder, "store.url", &folder);
    }
    for (name, secret) in [
        ("store.url", &config.store.url),
        ("store.master_key", &config.store.master_key),
        ("mail.url", &config.mail.url),
    ] {
        if let SecretSource::File { file } = secret {
            add(Use::File, name, file);
        }
    }
    for certificate in &config.tls.certificates {
        add(Use::File, "tls.certificates", &certificate.cert);
        add(Use::File, "tls.certificates", &certificate.key);
    }
    for upstream in config.upstream.values() {
        let secrets = upstream.headers.values().filter_map(|header| match header {
            SecretSource::File { file } => Some(file),
            _ => None,
        });
        let pair = upstream.client_certificate.iter();
        let pair = pair.flat_map(|pair| [&pair.cert, &pair.key]);
        for file in secrets.chain(&upstream.ca).chain(pair) {
            add(Use::File, "upstream", file);
        }
    }
    if let Some(ca) = &config.mail.ca {
        add(Use::File, "mail.ca", ca);
    }
    add(Use::File, "branding.logo", &config.branding.logo);
    add(Use::Folder, "branding.folder", &config.branding.folder);
    add(Use::Socket, "listen.admin_socket", &config.listen.admin_socket);
    for (index, address) in config.listen.plain.iter().enumerate() {
        if let PlainAddress::Unix(socket) = address {
            add(Use::Socket, &format!("listen.plain[{index}]"), socket);
        }
    }
    if let Ok(MailTransport::Folder(folder)) = config.mail.transport() {
        add(Use::Outbox, "mail.url", &folder);
    }
    add(Use::Log, "audit.file", &config.audit.file);
    if config.log.access {
        add(Use::Log, "log.access_file", &config.log.access_file);
    }
    places
}

impl Place {
    /// Says how it is in the way of another: "inside", "the file of".
    fn conflict(&self, other: &Self) -> Option<&'static str> {
        // A device takes the lines of any number of logs.
        if fs::metadata(&self.path).is_ok_and(|about| self.use_of == Use::Log && !about.is_file()) {
            return None;
        }
        let (own, its) = (resolve_links(&self.path), resolve_links(&other.path));
        // Of two sockets at one place the check of `listen` tells.
        if own == its && self.use_of == Use::Socket && other.use_of == Use::Socket {
            return None;
        }
        if own == its || is_same_file(&own, &its) {
            return Some("the place of");
        }
        let holds_others = matches!(other.use_of, Use::Folder | Use::Outbox);
        if holds_others && own.starts_with(&its) {
            return Some("inside the folder of");
        }
        (self.use_of != Use::Outbox && its.starts_with(&own)).then_some("above the place of")
    }
}

/// Returns what is there, at the path of a folder or above it, and is no folder.
fn file_in_the_way(folder: &Path) -> Option<&Path> {
    let mut there = folder
        .ancestors()
        .filter_map(|path| Some((path, fs::metadata(path).ok()?)));
    let (path, about) = there.next()?;
    (!about.is_dir()).then_some(path)
}

/// The path to which the links of a path lead, whether or not something is there.
pub fn resolve_links(path: &Path) -> PathBuf {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let mut resolved = PathBuf::from("/");
    let mut rest: Vec<PathBuf> = steps(&path);
    let mut link_count = 0;
    while let Some(step) = rest.pop() {
        if step.as_os_str() == ".." {
            resolved.pop();
            continue;
        }
        // The step `/` of an absolute link begins anew.
        let next = resolved.join(step);
        match fs::read_link(&next) {
            Ok(target) if link_count < MOST_LINKS => {
                link_count += 1;
                rest.extend(steps(&target));
            }
            _ => resolved = next,
        }
    }
    resolved
}

/// The steps of a path, the last first.
fn steps(path: &Path) -> Vec<PathBuf> {
    path.components()
        .rev()
        .map(|step| PathBuf::from(step.as_os_str()))
        .collect()
}

/// Whether a path can only be that of a folder: it ends with `/`, `.` or `..`.
fn is_of_a_folder(path: &Path) -> bool {
    let text = path.as_os_str().as_bytes();
    text.ends_with(b"/") || text.ends_with(b"/.") || path.file_name().is_none()
}

/// Whether both are names of one file, by a hard link.
fn is_same_file(one: &Path, other: &Path) -> bool {
    let (Ok(one), Ok(other)) = (fs::metadata(one), fs::metadata(other)) else {
        return false;
    };
    one.is_file() && (one.dev(), one.ino()) == (other.dev(), other.ino())
}
