//! Recognises headers by which a client chooses a function, or a part of the application, that is known by its name alone (S75):
//! Server Actions of Next.js and React Router, server functions of `SolidStart`, namespaces of Vault.

use http::HeaderName;

use super::{after_letters, reads_as, words};

/// Pages from which a client navigates, and whose parts it is shown.
pub const PAGES: [(HeaderName, &str); 3] = [
    (HeaderName::from_static("next-url"), "Next-Url"),
    (
        HeaderName::from_static("x-sveltekit-pathname"),
        "X-Sveltekit-Pathname",
    ),
    (HeaderName::from_static("x-twofold-path"), "X-Twofold-Path"),
];

/// Words with which a name, or the rest of one, names a function of the server, written without the signs between words.
const FUNCTIONS: [&str; 12] = [
    "analogcomponent",
    "functiondefinition",
    "nextaction",
    "routingexpression",
    "rscaction",
    "serveraction",
    "serverfn",
    "serverfunction",
    "serverid",
    "serveroutlet",
    "serverreference",
    "qrl",
];

/// What a name ends with that names a part of the application.
const PARTS: [&str; 5] = [
    "namespace",
    "parseapplicationid",
    "seldonmodel",
    "sitename",
    "xapp",
];

/// The first letters of all of them.
const FIRST_LETTERS: &[u8] = b"afnpqrsx";

/// What a header chooses beside the path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Choice {
    /// A function, which may belong to any page.
    Function,
    /// A part of the application.
    Part,
}

/// Whether a header names a page, a function or a part of the application beside the path.
pub fn chooses_beside_path(name: &HeaderName) -> bool {
    Choice::of(name).is_some() || PAGES.iter().any(|(page, _)| reads_as(name, page.as_str()))
}

impl Choice {
    /// What a header of this name chooses.
    pub fn of(name: &HeaderName) -> Option<Self> {
        let mut known = words(name).filter(|words| FIRST_LETTERS.contains(&words[0]));
        known.find_map(|words| {
            let rest = |known: &&str| after_letters(words, known);
            if FUNCTIONS.iter().any(|known| rest(known).is_some()) {
                return Some(Self::Function);
            }
            let is_part = PARTS.iter().filter_map(rest).any(<[u8]>::is_empty);
            is_part.then_some(Self::Part)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s75_names_of_functions_and_parts_are_told_by_their_words() {
        for (name, choice) in [
            ("next-action", Some(Choice::Function)),
            ("next_action", Some(Choice::Function)),
            ("rsc-action-id", Some(Choice::Function)),
            ("x-rsc-action", Some(Choice::Function)),
            ("react-server-action", Some(Choice::Function)),
            ("react-server-outlet", Some(Choice::Function)),
            ("x-server-id", Some(Choice::Function)),
            ("x-twofold-server-reference", Some(Choice::Function)),
            ("x-qrl", Some(Choice::Function)),
            ("x-vault-namespace", Some(Choice::Part)),
            ("x-consul-namespace", Some(Choice::Part)),
            ("x-frappe-site-name", Some(Choice::Part)),
            ("x-app", Some(Choice::Part)),
            ("x-parse-application-id", Some(Choice::Part)),
            ("seldon-model", Some(Choice::Part)),
            ("x-analog-component", Some(Choice::Function)),
            ("spring.cloud.function.definition", Some(Choice::Function)),
            ("spring.cloud.function.routing-expression", Some(Choice::Function)),
            ("x-app-version", None),
            ("x-namespaces", None),
            ("x-action", None),
            ("server-timing", None),
            ("rsc", None),
        ] {
            assert_eq!(Choice::of(&name.parse().unwrap()), choice, "{name}");
        }
    }

    #[test]
    fn every_known_name_begins_with_a_known_letter() {
        for known in FUNCTIONS.iter().chain(&PARTS) {
            assert!(FIRST_LETTERS.contains(&known.as_bytes()[0]), "{known}");
        }
    }
}
