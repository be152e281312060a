//! `vestibule trust`: adds the local authority to the trust stores of this machine, or removes it.

use std::env;
use std::fmt::Write;
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use serde::Serialize;
use sha2::{Digest, Sha256};

use super::output::{CommandOutput, Failure};
use crate::listener::AUTHORITY_FILE;

/// Adds the local authority in `certs_dir` to the trust stores, or removes it.
pub fn run(certs_dir: &Path, remove: bool, json: bool) -> ExitCode {
    let done = Stores::of_this_machine()
        .change(certs_dir, remove)
        .and_then(|report| CommandOutput::new(&report, report.text()));
    match done {
        Ok(answer) => answer.print(json),
        Err(failure) => failure.print(json),
    }
}

/// The trust stores of this machine.
#[derive(Debug)]
struct Stores {
    system: Option<SystemStore>,
    /// The database of Chromium, if it exists. Firefox has one in each profile, and on most distributions
    /// reads the system's too.
    nss: Option<PathBuf>,
}

/// A distribution's folder of trust anchors.
#[derive(Debug)]
struct SystemStore {
    folder: PathBuf,
    extension: &'static str,
    /// The commands that apply a change of the folder: after an addition, after a removal.
    update: [&'static [&'static str]; 2],
}

/// The result.
#[derive(Debug, Serialize)]
struct TrustReport {
    authority: PathBuf,
    fingerprint: String,
    removed: bool,
    stores: Vec<String>,
}

/// The local authority.
struct Authority {
    path: PathBuf,
    fingerprint: String,
    pem: Vec<u8>,
}

impl Stores {
    fn of_this_machine() -> Self {
        let known = [
            SystemStore {
                folder: "/usr/local/share/ca-certificates".into(),
                extension: "crt",
                update: [
                    &["update-ca-certificates"],
                    &["update-ca-certificates", "--fresh"],
                ],
            },
            SystemStore {
                folder: "/etc/pki/ca-trust/source/anchors".into(),
                extension: "pem",
                update: [&["update-ca-trust"], &["update-ca-trust"]],
            },
        ];
        let nss = env::var_os("HOME").map(|home| PathBuf::from(home).join(".pki/nssdb"));
        Self {
            system: known
                .into_iter()
                .find(|store| store.folder.is_dir() && is_installed(store.update[0][0])),
            nss: nss.filter(|folder| folder.is_dir() && is_installed("certutil")),
        }
    }

    fn change(&self, certs_dir: &Path, remove: bool) -> Result<TrustReport, Failure> {
        let authority = Authority::read(&certs_dir.join(AUTHORITY_FILE))?;
        let mut stores = Vec::new();
        // The user's own store first: it needs no rights, and stays changed if the system's is refused.
        if let Some(folder) = &self.nss {
            change_nss(folder, &authority, remove)?;
            stores.push(format!("the browsers' store {}", folder.display()));
        }
        match &self.system {
            Some(store) => {
                store.change(&authority, remove)?;
                stores.push(format!("the system's store {}", store.folder.display()));
            }
            None if stores.is_empty() => {
                let path = authority.path.display();
                return Err(Failure::failed(format!(
                    "this system's trust store is not known; {} {path} {} by hand, in the system's settings or the browser's",
                    if remove { "take" } else { "add" },
                    if remove {
                        "out"
                    } else {
                        "as an authority for web sites"
                    },
                )));
            }
            None => {}
        }
        Ok(TrustReport {
            authority: authority.path,
            fingerprint: authority.fingerprint,
            removed: remove,
            stores,
        })
    }
}

impl SystemStore {
    fn change(&self, authority: &Authority, remove: bool) -> Result<(), Failure> {
        let name = format!("{}.{}", authority.name(), self.extension);
        let file = self.folder.join(name);
        let there = fs::read(&file).is_ok_and(|content| content == authority.pem);
        if there != remove {
            return Ok(());
        }
        let (changed, by_hand) = if remove {
            (fs::remove_file(&file), format!("rm {}", file.display()))
        } else {
            let written = fs::write(&file, &authority.pem)
                .and_then(|()| fs::set_permissions(&file, fs::Permissions::from_mode(0o644)));
            let copy = format!("install -m 644 {} {}", authority.path.display(), file.display());
            (written, copy)
        };
        let update = self.update[usize::from(remove)];
        match changed {
            Ok(()) => call(update),
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Err(Failure::failed(format!(
                "only root may change {}; run: sudo {by_hand} && sudo {}",
                self.folder.display(),
                update.join(" ")
            ))),
            Err(error) => Err(Failure::failed(format!("{}: {error}", file.display()))),
        }
    }
}

impl Authority {
    fn read(path: &Path) -> Result<Self, Failure> {
        let failed = |error: &dyn std::fmt::Display| {
            Failure::failed(format!(
                "{}: {error}; the local authority is made when `vestibule serve` first runs without [tls] certificates",
                path.display()
            ))
        };
        let pem = fs::read(path).map_err(|error| failed(&error))?;
        let der = CertificateDer::from_pem_slice(&pem).map_err(|error| failed(&error))?;
        let fingerprint = Sha256::digest(&der).iter().fold(String::new(), |mut hex, byte| {
            // Writing to a string does not fail.
            let _ = write!(hex, "{byte:02x}");
            hex
        });
        Ok(Self {
            path: fs::canonicalize(path).map_err(|error| failed(&error))?,
            fingerprint,
            pem,
        })
    }

    /// Its name in the stores, with enough of the fingerprint that two gateways on a machine do not collide.
    fn name(&self) -> String {
        format!("vestibule-local-{}", &self.fingerprint[..8])
    }
}

impl TrustReport {
    fn text(&self) -> String {
        let what = if self.removed {
            "no longer trusted by"
        } else {
            "trusted by"
        };
        let fingerprint = &self.fingerprint;
        format!(
            "The local authority (SHA-256 {fingerprint}) is {what} {}.",
            self.stores.join(" and ")
        )
    }
}

fn change_nss(folder: &Path, authority: &Authority, remove: bool) -> Result<(), Failure> {
    let database = format!("sql:{}", folder.display());
    let name = authority.name();
    let certutil = |arguments: &[&str]| {
        let mut command = Command::new("certutil");
        command.args(["-d", &database]).args(arguments).output()
    };
    let listed = certutil(&["-L", "-n", &name]).is_ok_and(|output| output.status.success());
    if listed != remove {
        return Ok(());
    }
    let path = authority.path.display().to_string();
    let changed = if remove {
        certutil(&["-D", "-n", &name])
    } else {
        certutil(&["-A", "-n", &name, "-t", "C,,", "-i", &path])
    };
    match changed {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => Err(Failure::failed(format!(
            "certutil cannot change {database}: {}",
            String::from_utf8_lossy(&output.stderr).trim()
        ))),
        Err(error) => Err(Failure::failed(format!("certutil cannot be run: {error}"))),
    }
}

/// Runs a program; its output is shown only on failure.
fn call(command: &[&str]) -> Result<(), Failure> {
    let failed = |why: &dyn std::fmt::Display| Failure::failed(format!("{}: {why}", command.join(" ")));
    let Some((program, arguments)) = command.split_first() else {
        return Ok(());
    };
    let output = Command::new(program)
        .args(arguments)
        .output()
        .map_err(|error| failed(&error))?;
    if output.status.success() {
        Ok(())
    } else {
        Err(failed(&String::from_utf8_lossy(&output.stderr).trim()))
    }
}

/// Returns whether a program is in PATH or in the folders of root's programs, which are not in every user's
/// PATH.
fn is_installed(program: &str) -> bool {
    let path = env::var_os("PATH").unwrap_or_default();
    let mut folders = env::split_paths(&path).chain(["/usr/sbin".into(), "/usr/bin".into()]);
    folders.any(|folder| folder.join(program).is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Machine {
        folder: tempfile::TempDir,
        stores: Stores,
    }

    impl Machine {
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let anchors = folder.path().join("anchors");
            fs::create_dir(&anchors).unwrap();
            let key = rcgen::KeyPair::generate().unwrap();
            let authority = rcgen::CertificateParams::default().self_signed(&key).unwrap();
            fs::write(folder.path().join(AUTHORITY_FILE), authority.pem()).unwrap();
            let stores = Stores {
                system: Some(SystemStore {
                    folder: anchors,
                    extension: "crt",
                    update: [&["true"], &["true"]],
                }),
                nss: None,
            };
            Self { folder, stores }
        }

        fn change(&self, remove: bool) -> Result<TrustReport, Failure> {
            self.stores.change(self.folder.path(), remove)
        }

        fn anchors(&self) -> Vec<PathBuf> {
            let entries = fs::read_dir(self.folder.path().join("anchors")).unwrap();
            entries.map(|entry| entry.unwrap().path()).collect()
        }
    }

    #[test]
    fn what_is_added_twice_is_there_once_and_removed_once() {
        let machine = Machine::new();
        for _ in 0..2 {
            let report = machine.change(false).unwrap();
            let [anchor] = &machine.anchors()[..] else {
                panic!("one anchor")
            };
            let name = anchor.file_name().unwrap().to_str().unwrap();
            assert_eq!(name, format!("vestibule-local-{}.crt", &report.fingerprint[..8]));
            let authority = machine.folder.path().join(AUTHORITY_FILE);
            assert_eq!(fs::read(anchor).unwrap(), fs::read(authority).unwrap());
            assert_eq!(fs::metadata(anchor).unwrap().permissions().mode() & 0o777, 0o644);
        }
        for _ in 0..2 {
            machine.change(true).unwrap();
            assert!(machine.anchors().is_empty());
        }
    }

    #[test]
    fn other_anchors_stay() {
        let machine = Machine::new();
        let other = machine.folder.path().join("anchors/company.crt");
        fs::write(&other, "theirs").unwrap();
        machine.change(false).unwrap();
        machine.change(true).unwrap();
        assert_eq!(machine.anchors(), [other]);
    }

    #[test]
    fn what_cannot_be_done_is_said() {
        let mut machine = Machine::new();
        machine.stores.system = None;
        let said = format!("{:?}", machine.change(false).unwrap_err());
        assert!(said.contains("by hand"), "{said}");
        fs::remove_file(machine.folder.path().join(AUTHORITY_FILE)).unwrap();
        let said = format!("{:?}", machine.change(false).unwrap_err());
        assert!(said.contains("vestibule serve"), "{said}");
    }

    #[test]
    fn a_browsers_store_takes_it_and_gives_it_back() {
        if !is_installed("certutil") {
            return;
        }
        let mut machine = Machine::new();
        let folder = machine.folder.path().join("nssdb");
        fs::create_dir(&folder).unwrap();
        let database = format!("sql:{}", folder.display());
        call(&["certutil", "-N", "-d", &database, "--empty-password"]).unwrap();
        machine.stores.nss = Some(folder);
        let report = machine.change(false).unwrap();
        let name = format!("vestibule-local-{}", &report.fingerprint[..8]);
        machine.change(false).unwrap();
        assert!(call(&["certutil", "-L", "-d", &database, "-n", &name]).is_ok());
        machine.change(true).unwrap();
        machine.change(true).unwrap();
        assert!(call(&["certutil", "-L", "-d", &database, "-n", &name]).is_err());
    }
}
