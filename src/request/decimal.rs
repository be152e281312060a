//! Whole numbers as clients write them.

use std::str::FromStr;

/// Reads a number in its one spelling: digits alone, without a sign, spaces or zeros before them. `str::parse` takes
/// `+6` and `06` too, which others refuse or read as octal.
pub fn parse_decimal<T: FromStr>(text: &str) -> Option<T> {
    is_decimal(text.as_bytes()).then(|| text.parse().ok()).flatten()
}

/// Whether a number is in its one spelling, however large it is.
pub fn is_decimal(text: &[u8]) -> bool {
    matches!(text, [b'0'] | [b'1'..=b'9', ..]) && text.iter().all(u8::is_ascii_digit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_has_one_spelling() {
        for (text, number) in [("0", 0), ("6", 6), ("10", 10), ("65535", u16::MAX)] {
            assert_eq!(parse_decimal(text), Some(number));
        }
        for text in [
            "", "+6", "-6", "06", "00", " 6", "6 ", "6.0", "6,6", "0x6", "6_0", "६", "65536",
        ] {
            assert_eq!(parse_decimal::<u16>(text), None, "{text:?}");
        }
    }
}
