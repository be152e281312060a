//! What the pages look like.

use std::io::Read as _;
use std::path::Path;

use super::Findings;
use super::access::{NOT_A_LINK, is_link};
use crate::colour::Colour;
use crate::config::BrandingConfig;
use crate::config::toml_document::KeyPath;
use crate::regular_file;

/// The largest logo, in bytes: it is part of every page.
const LARGEST_LOGO: usize = 64 << 10;

pub(super) fn validate(branding: &BrandingConfig, findings: &mut Findings<'_, '_>) {
    if branding.name.trim().is_empty() {
        findings.error(&"branding.name".into(), "the pages need a name to show");
    }
    // Any colour is readable: the text on it and the links beside it follow from it.
    if !branding.accent.is_empty() && Colour::parse(&branding.accent).is_none() {
        findings.error(&"branding.accent".into(), "not a colour such as \"#2457d6\"");
    }
    if !branding.logo.as_os_str().is_empty()
        && let Err(reason) = require_logo(&branding.logo)
    {
        findings.error(&"branding.logo".into(), reason);
    }
    for (index, link) in branding.links.iter().enumerate() {
        let path = KeyPath::from("branding.links").index(index);
        if link.text.trim().is_empty() {
            findings.error(&path.key("text"), "a link says something");
        }
        if !is_link(&link.url) {
            findings.error(&path.key("url"), NOT_A_LINK);
        }
    }
}

fn require_logo(path: &Path) -> Result<(), String> {
    let mut content = Vec::new();
    regular_file::open(path)
        .and_then(|file| file.take(LARGEST_LOGO as u64 + 1).read_to_end(&mut content))
        .map_err(|error| format!("{} cannot be read: {error}", path.display()))?;
    if content.len() > LARGEST_LOGO {
        return Err(format!("{} is larger than 64 KiB", path.display()));
    }
    let is_png = content.starts_with(b"\x89PNG\r\n\x1a\n");
    if is_png || str::from_utf8(&content).is_ok_and(|text| text.contains("<svg")) {
        Ok(())
    } else {
        Err(format!("{} is neither SVG nor PNG", path.display()))
    }
}
