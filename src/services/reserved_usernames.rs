//! Usernames that nobody can choose (S53).

use crate::config::SignupConfig;
use crate::ids::AccountId;
use crate::model::Username;

/// Returns whether the username is reserved (S53): by the configuration, but for punctuation and case, or
/// because it reads as an account's id.
pub(super) fn is_reserved(config: &SignupConfig, username: &Username) -> bool {
    let spoken = spoken(username.as_str());
    let mut reserved = config.reserved_usernames.iter();
    username.as_str().parse::<AccountId>().is_ok() || reserved.any(|name| self::spoken(name) == spoken)
}

/// The name in lower case without punctuation.
fn spoken(name: &str) -> String {
    let letters = name.chars().filter(|c| !matches!(c, '.' | '_' | '-'));
    letters.map(|c| c.to_ascii_lowercase()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s53_what_reads_like_a_reserved_name_or_an_id_is_reserved() {
        let config = SignupConfig {
            reserved_usernames: vec!["Admin".to_owned(), "no-reply".to_owned()],
            ..SignupConfig::default()
        };
        let is_reserved = |name: &str| is_reserved(&config, &name.parse().unwrap());
        for name in [
            "admin",
            "admin.",
            "ad.min",
            "a_d-min",
            "noreply",
            "0199c3f0-7b1a-7000-8000-0123456789ab",
            "0199C3F07B1A700080000123456789AB",
        ] {
            assert!(is_reserved(name), "{name}");
        }
        for name in ["admin2", "ann", "administrators", "0199c3f0"] {
            assert!(!is_reserved(name), "{name}");
        }
    }
}
