//! `/.auth/assets/<name>`: style sheet, scripts, icon and logo, under names with a digest of their content.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderValue, Response};
use sha2::{Digest, Sha256};

use super::{PortalError, security_headers};
use crate::colour::Colour;
use crate::compression::EncodedForms;
use crate::config::BrandingConfig;
use crate::regular_file;
use crate::route::Page;

const PREFIX: &str = Page::Asset.path();
const LARGEST_LOGO: usize = 64 * 1024;
const PNG: &[u8] = b"\x89PNG\r\n\x1a\n";

/// The assets, and their URLs.
#[derive(Debug)]
pub(super) struct Assets {
    files: BTreeMap<String, Asset>,
    pub(super) style: String,
    pub(super) script: String,
    /// The script of the sign-in page for access keys.
    pub(super) sign: String,
    pub(super) icon: String,
    pub(super) logo: Option<String>,
}

#[derive(Debug)]
struct Asset {
    kind: &'static str,
    body: Bytes,
    forms: EncodedForms,
}

impl Assets {
    pub(super) fn load(branding: &BrandingConfig) -> Result<Self, PortalError> {
        let accent = Colour::parse(&branding.accent).unwrap_or(Colour::BUILT_IN);
        let icon = include_str!("static/icon.svg")
            .replace("ACCENT", &accent.to_string())
            .replace("ON", &accent.text().to_string());
        let style = include_str!("static/style.css").to_owned() + &properties(accent);
        let mut files = BTreeMap::new();
        let mut add = |name: &str, end: &str, kind: &'static str, body: Vec<u8>| {
            let name = format!("{name}-{}.{end}", fingerprint(&body));
            let address = format!("{PREFIX}{name}");
            files.insert(
                name,
                Asset {
                    kind,
                    body: body.into(),
                    forms: EncodedForms::default(),
                },
            );
            address
        };
        Ok(Self {
            style: add("style", "css", "text/css; charset=utf-8", style.into_bytes()),
            script: add(
                "script",
                "js",
                "text/javascript; charset=utf-8",
                include_bytes!("static/script.js").to_vec(),
            ),
            sign: add(
                "sign",
                "js",
                "text/javascript; charset=utf-8",
                include_bytes!("static/sign.js").to_vec(),
            ),
            icon: add("icon", "svg", "image/svg+xml", icon.into_bytes()),
            logo: logo(&branding.logo)?.map(|(end, kind, body)| add("logo", end, kind, body)),
            files,
        })
    }

    /// Returns the asset at a path. Immutable to caches, since its name changes with its content;
    /// so its encoded forms, an extension of the response, are made once.
    pub(super) fn at(&self, path: &str) -> Option<Response<Bytes>> {
        let asset = self.files.get(path.strip_prefix(PREFIX)?)?;
        let mut response = Response::new(asset.body.clone());
        response.extensions_mut().insert(asset.forms.clone());
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(asset.kind));
        headers.insert(
            CACHE_CONTROL,
            HeaderValue::from_static("public, max-age=31536000, immutable"),
        );
        security_headers::set_for_asset(headers);
        Some(response)
    }
}

fn properties(accent: Colour) -> String {
    format!(
        ":root{{--accent-light:{accent};--on-accent:{};--link-light:{};--link-dark:{}}}\n",
        accent.text(),
        accent.on_light(),
        accent.on_dark(),
    )
}

fn fingerprint(body: &[u8]) -> String {
    Sha256::digest(body)[..8]
        .iter()
        .fold(String::new(), |mut hex, byte| {
            let _ = write!(hex, "{byte:02x}");
            hex
        })
}

type Logo = (&'static str, &'static str, Vec<u8>);

fn logo(path: &Path) -> Result<Option<Logo>, PortalError> {
    if path.as_os_str().is_empty() {
        return Ok(None);
    }
    let refused = |why: &str| PortalError::Logo(format!("{} {why}", path.display()));
    let body = regular_file::read(path).map_err(|error| refused(&format!("cannot be read: {error}")))?;
    if body.len() > LARGEST_LOGO {
        return Err(refused("is larger than 64 KiB"));
    }
    if body.starts_with(PNG) {
        return Ok(Some(("png", "image/png", body)));
    }
    if std::str::from_utf8(&body).is_ok_and(|text| text.contains("<svg")) {
        return Ok(Some(("svg", "image/svg+xml", body)));
    }
    Err(refused("is neither SVG nor PNG"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(logo: &Path) -> Result<Assets, PortalError> {
        Assets::load(&BrandingConfig {
            logo: logo.to_owned(),
            ..BrandingConfig::default()
        })
    }

    #[test]
    fn an_asset_is_found_by_its_content_alone() {
        let assets = load(Path::new("")).unwrap();
        let style = assets.at(&assets.style).unwrap();
        assert_eq!(style.headers()[CONTENT_TYPE], "text/css; charset=utf-8");
        assert!(
            style.headers()[CACHE_CONTROL]
                .to_str()
                .unwrap()
                .contains("immutable")
        );
        assert!(assets.at("/.auth/assets/style.css").is_none());
        assert!(assets.logo.is_none());
    }

    #[test]
    fn a_logo_is_an_svg_or_a_png() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, body: &[u8]| {
            let path = folder.path().join(name);
            std::fs::write(&path, body).unwrap();
            path
        };
        let svg = load(&write("a", b"<svg xmlns='http://www.w3.org/2000/svg'/>")).unwrap();
        assert_eq!(svg.logo.unwrap().rsplit_once('.').unwrap().1, "svg");
        let png = load(&write("b", PNG)).unwrap();
        assert_eq!(png.logo.unwrap().rsplit_once('.').unwrap().1, "png");
        assert!(load(&write("c", b"GIF89a")).is_err());
        assert!(load(&write("d", &[PNG, &vec![0; LARGEST_LOGO]].concat())).is_err());
        assert!(load(&folder.path().join("absent")).is_err());
    }
}
