//! Rules for new passwords.

use crate::config::PasswordPolicyName;
use crate::model::{Email, Password, Username};

/// Common passwords in lower case, NFC, sorted by byte, one a line; `common_passwords.md` names the source.
static COMMON: &str = include_str!("common_passwords.txt");

/// The shortest local part that must not occur in a password; shorter ones occur by chance. A username counts
/// at any length.
const LOCAL_PART_FROM: usize = 4;

/// A rule that a password breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PasswordRule {
    /// Fewer characters than this.
    TooShort(usize),
    /// No letter.
    NoLetter,
    /// No digit.
    NoDigit,
    /// No special character.
    NoSpecial,
    /// A common password.
    Common,
    /// Contains the account's address or username.
    Personal,
}

/// Validates new passwords.
#[derive(Debug)]
pub struct PasswordPolicy {
    name: PasswordPolicyName,
}

impl PasswordPolicy {
    /// Creates the policy of this name.
    pub fn new(name: PasswordPolicyName) -> Self {
        Self { name }
    }

    /// The policy's name, for the page that explains it.
    pub fn name(&self) -> PasswordPolicyName {
        self.name
    }

    /// Returns every rule that the password breaks.
    ///
    /// The address, its local part (from four characters) and the username must not occur in it, in any case.
    pub fn validate(
        &self,
        password: &Password,
        email: Option<&Email>,
        username: Option<&Username>,
    ) -> Vec<PasswordRule> {
        let text = password.expose();
        let lower = text.to_lowercase();
        let mut broken = match self.name {
            PasswordPolicyName::Classic => classic(text),
            PasswordPolicyName::Nist => shorter_than(15, text).into_iter().collect(),
        };
        if is_common(&lower) {
            broken.push(PasswordRule::Common);
        }
        if is_personal(&lower, email, username) {
            broken.push(PasswordRule::Personal);
        }
        broken
    }
}

/// A letter of any script counts as a letter. Whatever is not an ASCII letter or digit counts as special, so
/// that a letter of another script is both.
fn classic(text: &str) -> Vec<PasswordRule> {
    let lacks = |kind: fn(char) -> bool, rule| (!text.chars().any(kind)).then_some(rule);
    [
        shorter_than(8, text),
        lacks(char::is_alphabetic, PasswordRule::NoLetter),
        lacks(|c| c.is_ascii_digit(), PasswordRule::NoDigit),
        lacks(|c| !c.is_ascii_alphanumeric(), PasswordRule::NoSpecial),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn shorter_than(least: usize, text: &str) -> Option<PasswordRule> {
    (text.chars().count() < least).then_some(PasswordRule::TooShort(least))
}

/// A binary search in the text itself, without a set in memory.
fn is_common(lower: &str) -> bool {
    let (mut rest, wanted) = (COMMON, lower.as_bytes());
    while !rest.is_empty() {
        let middle = rest.as_bytes()[..rest.len() / 2]
            .iter()
            .rposition(|&b| b == b'\n')
            .map_or(0, |line_break| line_break + 1);
        let (before, from) = rest.split_at(middle);
        let (line, after) = from.split_once('\n').unwrap_or((from, ""));
        match line.as_bytes().cmp(wanted) {
            std::cmp::Ordering::Equal => return true,
            std::cmp::Ordering::Less => rest = after,
            std::cmp::Ordering::Greater => rest = before,
        }
    }
    false
}

fn is_personal(lower: &str, email: Option<&Email>, username: Option<&Username>) -> bool {
    let local = email.map(|email| email.local().to_lowercase());
    let local = local.filter(|local| local.chars().count() >= LOCAL_PART_FROM);
    let has_name = [local.as_deref(), username.map(Username::as_str)]
        .into_iter()
        .flatten()
        .any(|name| lower.contains(name));
    has_name || email.is_some_and(|email| lower.contains(email.key()))
}

#[cfg(test)]
mod tests {
    use super::PasswordRule::{Common, NoDigit, NoLetter, NoSpecial, Personal, TooShort};
    use super::*;
    use crate::secret::Secret;

    fn validate(name: PasswordPolicyName, text: &str) -> Vec<PasswordRule> {
        let password = Password::parse(&Secret::new(text.to_owned())).unwrap();
        let (email, username) = ("j.doe@example.com".parse().unwrap(), "johnny".parse().unwrap());
        PasswordPolicy::new(name).validate(&password, Some(&email), Some(&username))
    }

    #[test]
    fn s1_classic_names_every_broken_rule() {
        for (text, broken) in [
            ("Tr0ub4dor&3", vec![]),
            ("under_sc0re", vec![]),
            ("with a sp4ce", vec![]),
            ("비밀번호는한글1", vec![]),
            ("caf\u{e9}caf3s", vec![]),
            ("sh0rt_x", vec![TooShort(8)]),
            ("한글1", vec![TooShort(8)]),
            ("12345678-90", vec![NoLetter]),
            ("no_digits_here", vec![NoDigit]),
            ("n0specials9", vec![NoSpecial]),
            ("________", vec![NoLetter, NoDigit]),
            ("zqk", vec![TooShort(8), NoDigit, NoSpecial]),
        ] {
            assert_eq!(validate(PasswordPolicyName::Classic, text), broken, "{text}");
        }
    }

    #[test]
    fn length_is_counted_after_normalisation() {
        assert_eq!(
            validate(PasswordPolicyName::Classic, "e\u{301}-3456\u{31}"),
            [TooShort(8)]
        );
    }

    #[test]
    fn s1_nist_asks_for_length_alone() {
        assert_eq!(validate(PasswordPolicyName::Nist, "only lower case"), []);
        assert_eq!(
            validate(PasswordPolicyName::Nist, "Sh0rt_but_odd!"),
            [TooShort(15)]
        );
        assert_eq!(validate(PasswordPolicyName::Nist, "123456789123456"), [Common]);
    }

    #[test]
    fn s2_common_passwords_in_any_case() {
        for text in ["P@ssw0rd", "1qaz@WSX", "PASSWORD1!"] {
            assert_eq!(validate(PasswordPolicyName::Classic, text), [Common], "{text}");
        }
    }

    #[test]
    fn s2_personal_passwords_in_any_case() {
        for text in ["J.Doe@Example.com1", "my-J.DOE-42", "Johnny_Be_G00d"] {
            assert_eq!(validate(PasswordPolicyName::Classic, text), [Personal], "{text}");
        }
    }

    #[test]
    fn s2_a_short_username_counts_and_a_short_local_part_does_not() {
        let policy = PasswordPolicy::new(PasswordPolicyName::Classic);
        let judge = |text: &str, username: &str| {
            let password = Password::parse(&Secret::new(text.to_owned())).unwrap();
            let (email, username) = ("jo@example.com".parse().unwrap(), username.parse().unwrap());
            policy.validate(&password, Some(&email), Some(&username))
        };
        assert_eq!(judge("KIM-loves-2-sing", "kim"), [Personal]);
        assert_eq!(judge("q7-pass-phrase", "q7"), [Personal]);
        assert_eq!(judge("jolly-2-sing", "kim"), []);
    }

    #[test]
    fn every_line_of_the_list_is_found() {
        let lines: Vec<&str> = COMMON.lines().collect();
        assert!(lines.len() > 10_000);
        assert!(lines.is_sorted_by(|a, b| a.as_bytes() < b.as_bytes()));
        for line in lines {
            assert!(is_common(line), "{line}");
            assert!(!is_common(&format!("{line}\u{1}")), "{line}");
        }
        assert!(!is_common(""));
    }
}
