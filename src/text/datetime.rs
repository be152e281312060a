//! Formats points in time in each language.

use jiff::Timestamp;

use super::{Lang, Texts, fill};

impl Texts {
    /// Formats a time to the minute, in UTC: browsers do not send the reader's time zone.
    pub fn moment(&self, lang: Lang, at: Timestamp) -> String {
        self.moment_with(lang, at, "%H:%M")
    }

    /// Like [`Self::moment`], to the second.
    pub fn precise_moment(&self, lang: Lang, at: Timestamp) -> String {
        self.moment_with(lang, at, "%H:%M:%S")
    }

    fn moment_with(&self, lang: Lang, at: Timestamp, time: &str) -> String {
        let part = |format: &str| at.strftime(format).to_string();
        let number = part("%-m");
        let mut months = self.get(lang, "date.months").split(", ");
        let place = number.parse::<usize>().unwrap_or(1).saturating_sub(1);
        fill(
            self.get(lang, "date.moment"),
            &[
                ("day", &part("%-d")),
                ("month", months.nth(place).unwrap_or(&number)),
                ("year", &part("%Y")),
                ("time", &part(time)),
            ],
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_said_as_its_readers_do() {
        let texts = Texts::built_in().unwrap();
        let said = |tag, at: &str| texts.moment(texts.language(tag).unwrap(), at.parse().unwrap());
        assert_eq!(said("en", "2026-01-02T03:04:59Z"), "2 Jan 2026, 03:04 UTC");
        assert_eq!(said("ko", "2026-01-02T03:04:59Z"), "2026년 1월 2일 03:04 UTC");
        assert_eq!(said("en", "2026-12-31T23:59:00Z"), "31 Dec 2026, 23:59 UTC");
        for lang in texts.languages() {
            assert_eq!(texts.get(lang, "date.months").split(", ").count(), 12);
        }
    }
}
