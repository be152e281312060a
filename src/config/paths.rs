//! Resolves relative paths of a configuration against the folder of its file.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use super::{
    AuditConfig, BrandingConfig, CertificateConfig, Config, ListenConfig, LogConfig, MailConfig,
    PlainAddress, RouteConfig, SecretSource, StoreConfig, TlsConfig, UpstreamConfig,
};

/// A configuration folder is a sibling of those for store and certificates, so its parent is the base.
const CONFIG_FOLDER: &str = "config";

/// The folder of the local authority, its certificates and the master key.
const CERTS: &str = "certs";

impl Config {
    /// Returns the base of relative paths in `file`: its folder, or that folder's parent if it is called
    /// `config`. Empty if that is the working directory, which keeps paths as written.
    ///
    /// Follows symbolic links of file and folder, so that every path to the file gives one base. Pipes and
    /// the like (`/dev/stdin`) have no folder.
    pub fn base_of(file: &Path) -> PathBuf {
        if is_handed_over(file) || fs::metadata(file).is_ok_and(|about| !about.is_file()) {
            return PathBuf::new();
        }
        let folder = real_folder(file);
        let base = match folder.parent() {
            Some(parent) if folder.ends_with(CONFIG_FOLDER) => parent,
            _ => &folder,
        };
        if env::current_dir().is_ok_and(|here| here == base) {
            return PathBuf::new();
        }
        base.to_owned()
    }

    /// Returns the folder of the local authority and its certificates.
    pub fn certs(&self) -> PathBuf {
        Self::certs_in(&self.base)
    }

    /// Returns this folder for a given base.
    pub fn certs_in(base: &Path) -> PathBuf {
        base.join(CERTS)
    }

    /// Resolves all relative paths against `base`.
    pub(super) fn resolve_paths(&mut self, base: &Path) {
        base.clone_into(&mut self.base);
        let Self {
            listen: ListenConfig {
                admin_socket, plain, ..
            },
            tls: TlsConfig { certificates, .. },
            store,
            mail,
            branding: BrandingConfig { logo, folder, .. },
            upstream,
            route,
            audit: AuditConfig { file, .. },
            log: LogConfig { access_file, .. },
            ..
        } = self;
        for path in [admin_socket, logo, folder, file, access_file] {
            resolve(path, base);
        }
        for address in plain {
            if let PlainAddress::Unix(path) = address {
                resolve(path, base);
            }
        }
        for CertificateConfig { cert, key } in certificates {
            resolve(cert, base);
            resolve(key, base);
        }
        let StoreConfig {
            url,
            master_key,
            base: base_of_store,
        } = store;
        resolve_secret(url, base);
        resolve_secret(master_key, base);
        base.clone_into(base_of_store);
        let MailConfig {
            url,
            ca,
            base: base_of_mail,
            ..
        } = mail;
        resolve_secret(url, base);
        if let Some(ca) = ca {
            resolve(ca, base);
        }
        base.clone_into(base_of_mail);
        for UpstreamConfig {
            servers, headers, ca, ..
        } in upstream.values_mut()
        {
            for server in servers {
                resolve_server(server, base);
            }
            for header in headers.values_mut() {
                resolve_secret(header, base);
            }
            if let Some(ca) = ca {
                resolve(ca, base);
            }
        }
        for RouteConfig { upstream, .. } in route {
            resolve_server(upstream, base);
        }
    }
}

/// Whether a path is how a shell hands over a stream.
pub(super) fn is_handed_over(file: &Path) -> bool {
    ["/dev", "/proc"].iter().any(|folder| file.starts_with(folder))
}

/// Returns the folder of the file that `file` links to. A link into a sibling folder that begins with `..` is
/// not followed: Kubernetes mounts files so, and creates another such folder with every change.
fn real_folder(file: &Path) -> PathBuf {
    let folder = match file.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let folder = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
    let Ok(real) = file.canonicalize() else {
        return folder;
    };
    let below = real
        .strip_prefix(&folder)
        .ok()
        .and_then(|below| below.iter().next());
    let is_mounted = below.is_some_and(|first| first.as_encoded_bytes().starts_with(b".."));
    match real.parent() {
        Some(parent) if !is_mounted => parent.to_owned(),
        _ => folder,
    }
}

/// Keeps an empty path, which stands for "none" or standard output.
fn resolve(path: &mut PathBuf, base: &Path) {
    if !path.as_os_str().is_empty() {
        *path = base.join(&*path);
    }
}

fn resolve_secret(secret: &mut SecretSource, base: &Path) {
    if let SecretSource::File { file } = secret {
        resolve(file, base);
    }
}

/// Resolves the path of a Unix socket; leaves other servers and names of upstreams unchanged.
fn resolve_server(server: &mut String, base: &Path) {
    if let Some(path) = server.strip_prefix("unix:")
        && !path.is_empty()
        && let Some(path) = base.join(path).to_str()
    {
        *server = format!("unix:{path}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{MailTransport, PostgresTls, StoreLocation};

    const RELATIVE: &str = r#"
        [listen]
        admin_socket = "run/admin.sock"
        [tls]
        certificates = [{ cert = "a.pem", key = "a.key" }]
        [store]
        url = "sled:data/store"
        master_key = { file = "master.key" }
        [mail]
        url = "file:outbox"
        ca = "mail-ca.pem"
        [branding]
        logo = "logo.svg"
        folder = "pages"
        [audit]
        file = "audit.jsonl"
        [log]
        access_file = "access.jsonl"
        [upstream.a]
        servers = ["unix:a.sock", "http://127.0.0.1:1"]
        headers = { X-Key = { file = "x.key" }, X-User = "{username}" }
        ca = "ca.pem"
        [[route]]
        upstream = "unix:b.sock"
    "#;

    fn read(text: &str) -> Config {
        let mut config: Config = toml::from_str(text).unwrap();
        config.resolve_paths(Path::new("/srv/v"));
        config
    }

    fn file_of(secret: &SecretSource) -> &Path {
        let SecretSource::File { file } = secret else {
            panic!("{secret:?} is no file");
        };
        file
    }

    #[test]
    fn every_relative_path_is_in_the_base() {
        let config = read(RELATIVE);
        let upstream = &config.upstream["a"];
        let certificate = &config.tls.certificates[0];
        for (path, resolved) in [
            (config.listen.admin_socket.as_path(), "/srv/v/run/admin.sock"),
            (&certificate.cert, "/srv/v/a.pem"),
            (&certificate.key, "/srv/v/a.key"),
            (file_of(&config.store.master_key), "/srv/v/master.key"),
            (&config.branding.logo, "/srv/v/logo.svg"),
            (&config.branding.folder, "/srv/v/pages"),
            (&config.audit.file, "/srv/v/audit.jsonl"),
            (&config.log.access_file, "/srv/v/access.jsonl"),
            (file_of(&upstream.headers["X-Key"]), "/srv/v/x.key"),
            (upstream.ca.as_deref().unwrap(), "/srv/v/ca.pem"),
            (config.mail.ca.as_deref().unwrap(), "/srv/v/mail-ca.pem"),
            (&config.certs(), "/srv/v/certs"),
        ] {
            assert_eq!(path, Path::new(resolved));
        }
        assert_eq!(upstream.servers, ["unix:/srv/v/a.sock", "http://127.0.0.1:1"]);
        assert_eq!(config.route[0].upstream, "unix:/srv/v/b.sock");
        assert_eq!(
            config.store.location().unwrap(),
            StoreLocation::Sled("/srv/v/data/store".into())
        );
        assert_eq!(
            config.mail.transport().unwrap(),
            MailTransport::Folder("/srv/v/outbox".into())
        );
        let database = read("[store]\nurl = \"postgres://a@db.example.com/v?sslrootcert=db.pem\"");
        let StoreLocation::Postgres(url) = database.store.location().unwrap() else {
            panic!("another store");
        };
        assert_eq!(url.tls, PostgresTls::Roots("/srv/v/db.pem".into()));
    }

    #[test]
    fn absolute_paths_and_what_is_off_stay_as_they_are() {
        let absolute = RELATIVE
            .replace(":data", ":/data")
            .replace("\"unix:", "\"unix:/x/");
        let config = read(&absolute);
        assert_eq!(config.upstream["a"].servers[0], "unix:/x/a.sock");
        assert_eq!(
            config.store.location().unwrap(),
            StoreLocation::Sled("/data/store".into())
        );
        let config = read("");
        assert_eq!(config.branding.logo, Path::new(""));
        assert_eq!(config.log.access_file, Path::new(""));
        assert_eq!(config.listen.admin_socket, Path::new("/srv/v/data/admin.sock"));
    }

    /// A new key that holds a path must be resolved above.
    #[test]
    fn no_key_is_forgotten() {
        let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/config");
        let resolved = fs::read_to_string(here.join("paths.rs")).unwrap();
        let resolved = resolved.split("#[cfg(test)]").next().unwrap();
        for entry in fs::read_dir(here).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_none_or(|extension| extension != "rs") {
                continue;
            }
            let text = fs::read_to_string(&path).unwrap();
            let mut deserialized = false;
            for line in text.lines() {
                if line.starts_with("#[derive(") {
                    deserialized = line.contains("Deserialize");
                }
                let Some((name, kind)) = line
                    .strip_prefix("    pub ")
                    .and_then(|field| field.split_once(": "))
                else {
                    continue;
                };
                let names_a_path = kind.contains("PathBuf") || kind.contains("SecretSource");
                if deserialized && names_a_path {
                    assert!(
                        resolved.contains(&format!("{name},")) || resolved.contains(&format!("{name} ")),
                        "{}: {name} is relative to nothing",
                        path.display()
                    );
                }
            }
        }
    }

    #[test]
    fn the_base_is_the_files_folder_or_the_parent_of_config() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        for name in ["config", "etc"] {
            fs::create_dir(root.join(name)).unwrap();
            fs::write(root.join(name).join("v.toml"), "").unwrap();
        }
        std::os::unix::fs::symlink(root.join("config"), root.join("link")).unwrap();
        std::os::unix::fs::symlink(root.join("config/v.toml"), root.join("etc/link.toml")).unwrap();
        std::os::unix::fs::symlink("etc/link.toml", root.join("chain.toml")).unwrap();
        std::os::unix::fs::symlink("etc/none.toml", root.join("dangling.toml")).unwrap();
        // As Kubernetes mounts a ConfigMap.
        fs::create_dir_all(root.join("mount/..2026_11_29")).unwrap();
        fs::write(root.join("mount/..2026_11_29/v.toml"), "").unwrap();
        std::os::unix::fs::symlink("..2026_11_29", root.join("mount/..data")).unwrap();
        std::os::unix::fs::symlink("..data/v.toml", root.join("mount/v.toml")).unwrap();
        for (file, base) in [
            ("config/v.toml", ""),
            ("config/../config/v.toml", ""),
            ("link/v.toml", ""),
            ("etc/v.toml", "etc"),
            ("etc/link.toml", ""),
            ("chain.toml", ""),
            ("dangling.toml", ""),
            ("mount/v.toml", "mount"),
            ("config/none.toml", ""),
        ] {
            let base = if base.is_empty() {
                root.clone()
            } else {
                root.join(base)
            };
            assert_eq!(Config::base_of(&root.join(file)), base, "{file}");
        }
        for pipe in ["/dev/null", "/dev/stdin", "/dev/fd/63", "/proc/self/fd/0"] {
            assert_eq!(Config::base_of(Path::new(pipe)), Path::new(""), "{pipe}");
        }
        assert_eq!(Config::base_of(Path::new("config/v.toml")), Path::new(""));
        assert_eq!(Config::base_of(Path::new("v.toml")), Path::new(""));
    }
}
