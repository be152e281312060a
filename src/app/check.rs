//! Checks of a configuration beyond its own rules: what a start or a reload would refuse or warn of.

use std::fs;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::{Access, AtFlags, CWD, accessat};

use super::BuildError;
use crate::certified_key::CertificateError;
use crate::clock::Clock;
use crate::config::{Config, MailTransport, PlainAddress, SecretSource, StoreLocation, resolve_links};
use crate::control::{check_store_folder, sealing_master_key};
use crate::listener::{ListenerTls, check_address, may_bind};
use crate::log_file::{LogFile, Reopening};
use crate::portal::{Portal, PortalError};
use crate::proxy::Gateway;
use crate::route::Routes;
use crate::services::{Audit, LETTER, MailError, Mailer, check_master_key};
use crate::system_user::owner_in_the_way;
use crate::unix_socket::{check_place, folder_of};

/// The right of a folder's group, or of everybody, to go through it.
const OTHERS_ENTER: u32 = 0o011;

/// Findings by key, such as `tls.certificates[0].key`.
#[derive(Debug, Default)]
pub struct CheckReport {
    /// What a start would refuse.
    pub errors: Vec<CheckFinding>,
    /// What the operator may not have meant.
    pub warnings: Vec<CheckFinding>,
}

/// A finding.
#[derive(Debug)]
pub struct CheckFinding {
    /// The key, `tls.certificates[0].key`.
    pub key: String,
    /// A sentence.
    pub message: String,
    /// The file that is at fault where the configuration itself is not, and the line in it, from 1.
    pub place: Option<(PathBuf, Option<usize>)>,
}

/// Builds what a start builds, by the same code, but writes nothing, opens no connection and listens nowhere. Blocks on
/// files.
pub fn check(config: &Config, clock: &Clock) -> CheckReport {
    let mut report = CheckReport::default();
    report.certificates(config, clock);
    report.master_key(config);
    if let Err(error) = Mailer::check_transport(config) {
        let key = match &error {
            MailError::From(_) => "mail.from",
            MailError::Authority { .. } => "mail.ca",
            _ => "mail.url",
        };
        report.error(key, &error);
    }
    match Portal::check(config) {
        Ok(odd) => {
            let odd = odd.into_iter().map(|odd| CheckFinding {
                key: "branding.folder".to_owned(),
                message: odd.message,
                place: Some((odd.file, odd.line)),
            });
            report.warnings.extend(odd);
        }
        Err(error) => {
            report.error("branding.folder", &error);
            if let Some(finding) = report.errors.last_mut() {
                finding.place = place(config, &error);
            }
        }
    }
    if let Err(error) = stages(config) {
        let key = match error {
            BuildError::Route(_) => "route",
            BuildError::NoHost => "public_url",
            _ => "upstream",
        };
        report.error(key, &error);
    }
    report.addresses(config);
    report.places(config);
    let makes_folder = config.audit.file != Path::new(Audit::STANDARD_ERROR);
    report.log_file("audit.file", &config.audit.file, makes_folder);
    if config.log.access {
        report.log_file("log.access_file", &config.log.access_file, false);
    }
    report
}

fn stages(config: &Config) -> Result<(), BuildError> {
    let routes = Routes::new(config, config.public_host().ok_or(BuildError::NoHost)?)?;
    Ok(Gateway::check(config, &routes)?)
}

/// Where in the operator's own files an error about pages, mails or texts is.
fn place(config: &Config, error: &PortalError) -> Option<(PathBuf, Option<usize>)> {
    match error {
        PortalError::OwnTemplate { file, line, .. } => Some((file.clone(), *line)),
        PortalError::Text(error) | PortalError::Mail(MailError::Text(error)) => {
            Some((error.file().to_owned(), error.line()))
        }
        PortalError::Mail(MailError::Template { line, .. }) => {
            Some((config.branding.folder.join(LETTER), *line))
        }
        _ => None,
    }
}

impl CheckReport {
    /// Adds an error, without the key if the message begins with it.
    fn error(&mut self, key: &str, error: &dyn std::fmt::Display) {
        let message = error.to_string();
        let message = message
            .strip_prefix(key)
            .and_then(|message| message.strip_prefix(": "))
            .unwrap_or(&message);
        self.errors.push(CheckFinding {
            key: key.to_owned(),
            message: message.to_owned(),
            place: None,
        });
    }

    fn warn(&mut self, key: String, message: String) {
        self.warnings.push(CheckFinding {
            key,
            message,
            place: None,
        });
    }

    fn certificates(&mut self, config: &Config, clock: &Clock) {
        self.local_authority(config, clock);
        for (index, loaded) in ListenerTls::check(config, clock).enumerate() {
            let key = format!("tls.certificates[{index}]");
            match loaded {
                Ok(doubts) => {
                    self.warnings.extend(doubts.into_iter().map(|doubt| CheckFinding {
                        key: format!("{key}.cert"),
                        message: doubt.to_owned(),
                        place: None,
                    }));
                }
                Err(error @ (CertificateError::Mismatch { .. } | CertificateError::NoKey(_))) => {
                    self.error(&format!("{key}.key"), &error);
                }
                Err(error) => self.error(&key, &error),
            }
        }
    }

    fn local_authority(&mut self, config: &Config, clock: &Clock) {
        let key = "tls.certificates";
        let routes = config.public_host().map(|host| Routes::new(config, host));
        // What is wrong with routes is an error of its own.
        let Some(Ok(routes)) = routes else { return };
        let certs = config.certs();
        match ListenerTls::check_local_authority(config, &certs, &routes.hosts(), clock) {
            Ok(false) => {}
            Ok(true) => {
                if let Err(reason) = require_own_folder(&certs) {
                    self.error(key, &reason);
                }
            }
            Err(error) => self.error(key, &error),
        }
    }

    fn master_key(&mut self, config: &Config) {
        let wanted = config
            .store
            .location()
            .ok()
            .and_then(|location| sealing_master_key(&location));
        if let Err(error) = check_master_key(&config.store.master_key, wanted.as_deref()) {
            self.error("store.master_key", &error);
        } else if let SecretSource::File { file } = &config.store.master_key
            && !file.exists()
            && let Err(reason) = require_own_folder(file.parent().unwrap_or(Path::new("")))
        {
            self.error("store.master_key", &reason);
        }
    }

    /// Checks that the addresses to listen at are this machine's, and warns of ports that are kept from this user: those of
    /// a service manager may be let in.
    fn addresses(&mut self, config: &Config) {
        let listen = &config.listen;
        let mut all: Vec<(String, SocketAddr)> = Vec::new();
        for (key, addresses) in [("https", &listen.https), ("http", &listen.http)] {
            let indexed = addresses.iter().enumerate();
            all.extend(indexed.map(|(index, address)| (format!("listen.{key}[{index}]"), *address)));
        }
        for (index, address) in listen.plain.iter().enumerate() {
            if let PlainAddress::Tcp(address) = address {
                all.push((format!("listen.plain[{index}]"), *address));
            }
        }
        if let Ok(Some(address)) = listen.ops_address() {
            all.push(("listen.ops".to_owned(), address));
        }
        for (key, address) in all {
            if let Err(error) = check_address(address) {
                self.error(&key, &error);
            } else if address.port() != 0 && !may_bind(address) {
                let message = format!(
                    "this user may not listen at port {}: give the service CAP_NET_BIND_SERVICE \
                     (`AmbientCapabilities=` in its unit), or listen at a port that the sysctl \
                     net.ipv4.ip_unprivileged_port_start leaves to everybody",
                    address.port()
                );
                self.warn(key, message);
            }
        }
    }

    /// Checks that nothing else is at the paths of the socket and the store.
    fn places(&mut self, config: &Config) {
        self.socket("listen.admin_socket", &config.listen.admin_socket);
        for (index, address) in config.listen.plain.iter().enumerate() {
            if let PlainAddress::Unix(socket) = address {
                let key = format!("listen.plain[{index}]");
                self.socket(&key, socket);
                if let Some(warning) = unreachable_folder(socket) {
                    self.warn(key, warning);
                }
            }
        }
        if let Ok(StoreLocation::Sled(folder)) = config.store.location() {
            if let Some(file) = no_folder(&folder) {
                self.error("store.url", &format!("{} is no folder", file.display()));
            } else if let Err(error) = check_store_folder(&folder) {
                self.error("store.url", &error);
            } else if let Err(reason) = require_own_folder(&folder) {
                self.error("store.url", &reason);
            }
        }
        // A start does not write there: only the mails fail.
        if let Ok(MailTransport::Folder(folder)) = config.mail.transport()
            && let Err(reason) = require_own_folder(&folder)
        {
            self.warn("mail.url".to_owned(), format!("no mail can be written: {reason}"));
        }
    }

    /// Whether this user can listen at a socket there.
    fn socket(&mut self, key: &str, socket: &Path) {
        let folder = socket.parent().unwrap_or(Path::new(""));
        if let Some(file) = no_folder(folder) {
            self.error(key, &format!("{} is no folder", file.display()));
        } else if let Err(error) = check_place(socket) {
            self.error(key, &error);
        } else if let Err(reason) = require_writable_folder(folder) {
            self.error(key, &reason);
        }
    }

    /// Checks that this user can append to a log file.
    fn log_file(&mut self, key: &str, file: &Path, makes_folder: bool) {
        if file.as_os_str().is_empty() {
            return;
        }
        match fs::metadata(file) {
            Ok(about) if about.is_dir() => self.error(key, &format!("{} is a folder", file.display())),
            Ok(about) if about.file_type().is_socket() => {
                self.error(key, &format!("{} is a socket", file.display()));
            }
            Ok(about) if about.is_file() => {
                if let Err(reason) = require_access(file, Access::WRITE_OK) {
                    self.error(key, &with_owner(reason, file));
                }
            }
            // What a pipe or a device takes is known when it is opened.
            Ok(_) => {
                if let Err(error) = LogFile::open(file, Reopening::default()) {
                    self.error(key, &format!("{} cannot be opened: {error}", file.display()));
                }
            }
            Err(error) if error.kind() == ErrorKind::NotFound => {
                // A file is made where links lead, but no folder for it.
                let is_link = fs::symlink_metadata(file).is_ok();
                let target = if is_link {
                    resolve_links(file)
                } else {
                    file.to_owned()
                };
                let makes_folder = makes_folder && !is_link;
                let folder = target.parent().unwrap_or(Path::new(""));
                if let Some(file) = no_folder(folder) {
                    self.error(key, &format!("{} is no folder", file.display()));
                } else if folder
                    .canonicalize()
                    .is_ok_and(|folder| folder.starts_with("/proc"))
                {
                    self.error(
                        key,
                        &format!("{} is not there, and cannot be made", file.display()),
                    );
                } else if !makes_folder && !folder.as_os_str().is_empty() && !folder.is_dir() {
                    self.error(key, &format!("there is no folder {}", folder.display()));
                } else if let Err(reason) = require_writable_folder(folder) {
                    self.error(key, &reason);
                }
            }
            Err(error) => self.error(key, &format!("{} cannot be opened: {error}", file.display())),
        }
    }
}

/// A folder through which no other user comes to a proxy's socket.
fn unreachable_folder(socket: &Path) -> Option<String> {
    let folder = folder_of(socket);
    let mode = fs::metadata(folder).ok()?.mode();
    (mode & OTHERS_ENTER == 0).then(|| {
        format!(
            "{} may be entered by its owner alone: a proxy that runs as another user cannot open the socket; let its group \
             in (`chmod g+x`)",
            folder.display()
        )
    })
}

/// Fails if this user cannot create files in a folder that is the gateway's alone, and says whose it is.
fn require_own_folder(folder: &Path) -> Result<(), String> {
    if let Some(file) = no_folder(folder) {
        return Err(format!("{} is no folder", file.display()));
    }
    require_writable_folder(folder).map_err(|reason| {
        if folder.exists() {
            with_owner(reason, folder)
        } else {
            reason
        }
    })
}

/// Adds whose a file is that this user may not write.
fn with_owner(reason: String, file: &Path) -> String {
    match owner_in_the_way(file) {
        Some(owner) => format!("{reason}; {owner}"),
        None => reason,
    }
}

/// Fails if this user cannot create files in the folder, or in the nearest existing one above it.
fn require_writable_folder(folder: &Path) -> Result<(), String> {
    let there = folder.ancestors().find(|path| path.exists());
    let there = there.filter(|path| !path.as_os_str().is_empty());
    require_access(
        there.unwrap_or(Path::new(".")),
        Access::WRITE_OK | Access::EXEC_OK,
    )
}

fn require_access(path: &Path, access: Access) -> Result<(), String> {
    let allowed = accessat(CWD, path, access, AtFlags::EACCESS);
    allowed.map_err(|errno| {
        let error = io::Error::from(errno);
        format!("{} cannot be written: {error}", path.display())
    })
}

/// Returns what is at the path or above it in place of a folder.
fn no_folder(path: &Path) -> Option<&Path> {
    for path in path.ancestors() {
        match fs::metadata(path) {
            Ok(about) => return Some(path).filter(|_| !about.is_dir()),
            // A dangling or circular link.
            Err(_) if fs::symlink_metadata(path).is_ok() => return Some(path),
            Err(_) => {}
        }
    }
    None
}
