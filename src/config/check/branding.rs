//! Checks name, logo, colour and links of the pages.

use std::io::Read as _;
use std::path::Path;

use super::Findings;
use super::access::{NOT_A_LINK, is_link};
use crate::colour::Colour;
use crate::config::Config;
use crate::config::toml_document::KeyPath;
use crate::model::{is_blank, turns_text};
use crate::regular_file;

/// Largest logo, in bytes; it is embedded in every page.
const LARGEST_LOGO: usize = 64 << 10;

/// The longest text of a link and the longest name, in characters.
const LONGEST_NAME: usize = 100;

/// The longest sentence, in characters.
const LONGEST_SENTENCE: usize = 500;

pub(super) fn validate(config: &Config, findings: &mut Findings<'_, '_>) {
    let branding = &config.branding;
    if branding.name.trim().is_empty() {
        findings.error(&"branding.name".into(), "the pages need a name to show");
    }
    for (key, text, longest) in [
        ("branding.name", &branding.name, LONGEST_NAME),
        ("branding.contact", &branding.contact, LONGEST_SENTENCE),
        ("login.iam_label", &config.login.iam_label, LONGEST_NAME),
    ] {
        check_text(&key.into(), text, longest, findings);
    }
    // Contrast is ensured for any colour: text and links are derived from it.
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
        check_text(&path.key("text"), &link.text, LONGEST_NAME, findings);
        if !is_link(&link.url) {
            findings.error(&path.key("url"), NOT_A_LINK);
        }
    }
}

/// Refuses a text that pages cannot show as it is: it would be read otherwise than it was written, or not at all.
fn check_text(path: &KeyPath, text: &str, longest: usize, findings: &mut Findings<'_, '_>) {
    let is_hidden = !text.trim().is_empty() && is_blank(text);
    if is_hidden || text.chars().count() > longest || text.chars().any(|c| c.is_control() || turns_text(c)) {
        findings.error(
            path,
            format!(
                "at most {longest} characters that can be seen, on one line, and none that turns the direction of text"
            ),
        );
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
