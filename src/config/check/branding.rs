//! What the pages look like.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use super::Findings;
use super::access::{NOT_A_LINK, is_link};
use crate::config::BrandingConfig;
use crate::config::document::KeyPath;

/// The largest logo, in bytes: it is part of every page.
const LARGEST_LOGO: usize = 64 << 10;

pub(super) fn judge(branding: &BrandingConfig, findings: &mut Findings<'_, '_>) {
    if branding.name.trim().is_empty() {
        findings.error(&"branding.name".into(), "the pages need a name to show");
    }
    if !branding.accent.is_empty() {
        let path = KeyPath::from("branding.accent");
        match rgb(&branding.accent) {
            None => findings.error(&path, "not a colour such as \"#2457d6\""),
            Some(colour) if contrast_with_white(colour) < 4.5 => {
                findings.warn(
                    &path,
                    "white text on this colour is hard to read (contrast under 4.5:1, WCAG 2.2, 1.4.3)",
                );
            }
            Some(_) => {}
        }
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
    File::open(path)
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

fn rgb(text: &str) -> Option<[u8; 3]> {
    let digits = text.strip_prefix('#')?;
    if digits.len() != 6 || !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    let [_, red, green, blue] = u32::from_str_radix(digits, 16).ok()?.to_be_bytes();
    Some([red, green, blue])
}

/// WCAG 2.2, "contrast ratio" and "relative luminance".
fn contrast_with_white(rgb: [u8; 3]) -> f64 {
    let [red, green, blue] = rgb.map(|channel| {
        let channel = f64::from(channel) / 255.0;
        if channel <= 0.04045 {
            channel / 12.92
        } else {
            ((channel + 0.055) / 1.055).powf(2.4)
        }
    });
    1.05 / (0.2126 * red + 0.7152 * green + 0.0722 * blue + 0.05)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contrast_is_that_of_the_standard() {
        assert!((contrast_with_white([0, 0, 0]) - 21.0).abs() < 1e-9);
        assert!((contrast_with_white([255, 255, 255]) - 1.0).abs() < 1e-9);
        // The two greys next to the border of 4.5:1.
        assert!(contrast_with_white([0x76; 3]) > 4.5 && contrast_with_white([0x77; 3]) < 4.5);
    }

    #[test]
    fn a_colour_has_six_digits() {
        assert_eq!(rgb("#2457D6"), Some([0x24, 0x57, 0xd6]));
        for text in ["2457d6", "#fff", "#12345g", "#+12345", "red"] {
            assert_eq!(rgb(text), None, "{text}");
        }
    }
}
