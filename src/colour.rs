//! Derives readable shades of the accent colour (WCAG 2.2, success criterion 1.4.3).
//!
//! Hand-written: the configuration only accepts `#rrggbb`, and crates that parse CSS colours do not compute
//! contrast.

/// An sRGB colour.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Colour([u8; 3]);

/// Minimum contrast of text.
const READABLE: f64 = 4.5;
const WHITE: Colour = Colour([255; 3]);
const BLACK: Colour = Colour([0; 3]);
/// The least favourable backgrounds of links in the stylesheet.
const LIGHT_SURFACE: Colour = Colour([0xf2, 0xf4, 0xf3]);
const DARK_SURFACE: Colour = Colour([0x18, 0x1d, 0x1b]);

impl Colour {
    pub(crate) const BUILT_IN: Self = Self([0x14, 0x66, 0x5a]);

    /// Parses `#rrggbb`.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let digits = text
            .strip_prefix('#')
            .filter(|digits| digits.len() == 6 && digits.bytes().all(|b| b.is_ascii_hexdigit()))?;
        let byte = |at: usize| u8::from_str_radix(digits.get(at..at + 2)?, 16).ok();
        Some(Self([byte(0)?, byte(2)?, byte(4)?]))
    }

    /// Returns the text colour for this background.
    pub(crate) fn text(self) -> Self {
        if self.contrast(WHITE) >= READABLE || self.contrast(WHITE) > self.contrast(BLACK) {
            WHITE
        } else {
            BLACK
        }
    }

    /// Returns the nearest shade that is readable on light pages.
    pub(crate) fn on_light(self) -> Self {
        self.until_readable(BLACK, LIGHT_SURFACE)
    }

    /// Returns the nearest shade that is readable on dark pages.
    pub(crate) fn on_dark(self) -> Self {
        self.until_readable(WHITE, DARK_SURFACE)
    }

    fn until_readable(self, towards: Self, surface: Self) -> Self {
        (0..=20)
            .map(|step| self.mixed(towards, f64::from(step) / 20.0))
            .find(|shade| shade.contrast(surface) >= READABLE)
            .unwrap_or(towards)
    }

    fn mixed(self, other: Self, share: f64) -> Self {
        let mix = |at: usize| {
            let mixed = f64::from(self.0[at]) * (1.0 - share) + f64::from(other.0[at]) * share;
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "between two bytes"
            )]
            let byte = mixed.round() as u8;
            byte
        };
        Self([mix(0), mix(1), mix(2)])
    }

    fn contrast(self, other: Self) -> f64 {
        let (one, two) = (self.luminance(), other.luminance());
        (one.max(two) + 0.05) / (one.min(two) + 0.05)
    }

    fn luminance(self) -> f64 {
        let linear = |byte: u8| {
            let value = f64::from(byte) / 255.0;
            if value <= 0.04045 {
                value / 12.92
            } else {
                ((value + 0.055) / 1.055).powf(2.4)
            }
        };
        0.2126 * linear(self.0[0]) + 0.7152 * linear(self.0[1]) + 0.0722 * linear(self.0[2])
    }
}

impl std::fmt::Display for Colour {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let [red, green, blue] = self.0;
        write!(f, "#{red:02x}{green:02x}{blue:02x}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_accent_is_readable() {
        for red in (0..=255).step_by(15) {
            for green in (0..=255).step_by(15) {
                for blue in (0..=255).step_by(51) {
                    let accent = Colour([red, green, blue]);
                    assert!(accent.text().contrast(accent) >= READABLE, "{accent}");
                    assert!(accent.on_light().contrast(LIGHT_SURFACE) >= READABLE, "{accent}");
                    assert!(accent.on_dark().contrast(DARK_SURFACE) >= READABLE, "{accent}");
                }
            }
        }
    }

    #[test]
    fn reads_one_form_only() {
        assert_eq!(Colour::parse("#14665A"), Some(Colour::BUILT_IN));
        for text in ["", "14665a", "#fff", "#14665g", "#+1+2+3", "#é66a", "red"] {
            assert_eq!(Colour::parse(text), None, "{text}");
        }
    }
}
