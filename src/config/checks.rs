//! `[checks]`.

use schemars::JsonSchema;
use serde::Deserialize;

use super::Diagnostic;

/// What the checks of the configuration leave out.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ChecksConfig {
    /// Warnings that are known and meant, by the keys that they name: they are no longer given. In a key of an array `[*]`
    /// stands for each of its elements.
    #[schemars(extend("examples" = [["signup.mode", "route[*].upstream"]]))]
    pub accept: Vec<String>,
}

impl ChecksConfig {
    /// Parts the warnings that are accepted from the others, which come first.
    pub fn part(&self, warnings: Vec<Diagnostic>) -> (Vec<Diagnostic>, Vec<Diagnostic>) {
        warnings
            .into_iter()
            .partition(|warning| !self.accepts(&warning.key))
    }

    /// Whether a warning about this key is accepted.
    pub fn accepts(&self, key: &str) -> bool {
        self.accept.iter().any(|accepted| names(accepted, key))
    }
}

/// Whether what an operator accepts is this key.
fn names(accepted: &str, key: &str) -> bool {
    let mut rest = key;
    let mut pieces = accepted.split("[*]");
    let Some(next) = pieces.next().and_then(|first| rest.strip_prefix(first)) else {
        return false;
    };
    rest = next;
    for piece in pieces {
        let Some((index, after)) = rest.strip_prefix('[').and_then(|rest| rest.split_once(']')) else {
            return false;
        };
        let Some(after) = after
            .strip_prefix(piece)
            .filter(|_| index.bytes().all(|b| b.is_ascii_digit()))
        else {
            return false;
        };
        rest = after;
    }
    rest.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_accepted_by_its_name_and_elements_by_a_star() {
        for (accepted, key, is_named) in [
            ("signup.mode", "signup.mode", true),
            ("signup.mode", "signup", false),
            ("signup", "signup.mode", false),
            ("route[1].upstream", "route[1].upstream", true),
            ("route[1].upstream", "route[2].upstream", false),
            ("route[*].upstream", "route[12].upstream", true),
            ("route[*].upstream", "route[1].host", false),
            ("route[*]", "route[1].host", false),
            ("upstream.a.servers[*]", "upstream.a.servers[0]", true),
            ("", "signup.mode", false),
        ] {
            assert_eq!(names(accepted, key), is_named, "{accepted} {key}");
        }
    }
}
