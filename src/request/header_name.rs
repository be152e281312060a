//! Compares header names as servers do that fold signs.
//!
//! CGI turns `-` into `_` (RFC 3875, section 4.1.18); lighttpd does so with every character that is not a
//! letter or digit.

use http::HeaderName;

/// Whether a name has only letters, digits and `-`, so that folding does not change its meaning.
pub fn is_plain(name: &HeaderName) -> bool {
    name.as_str()
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

/// Returns the name with `-` for every sign.
pub fn fold(name: &HeaderName) -> String {
    let fold = |c: char| if c.is_ascii_alphanumeric() { c } else { '-' };
    name.as_str().chars().map(fold).collect()
}

/// Whether a reader that folds signs takes `name` for `known`, which must be plain and in lower case.
pub fn reads_as(name: &HeaderName, known: &str) -> bool {
    name.as_str().len() == known.len() && begins_as(name, known)
}

/// Returns what stands in a name from each of its words on. A word begins at a letter or digit, so that a run of signs is not
/// scanned once for each of them.
pub fn words(name: &HeaderName) -> impl Iterator<Item = &[u8]> {
    let letters = name.as_str().as_bytes();
    let is_letter = |at: usize| letters[at].is_ascii_alphanumeric();
    let begins_word = move |at: &usize| is_letter(*at) && (*at == 0 || !is_letter(*at - 1));
    (0..letters.len()).filter(begins_word).map(|at| &letters[at..])
}

/// Returns what follows `letters` in `words`, skipping the signs before and between them. `letters` must be in lower case.
pub fn after_letters<'w>(mut words: &'w [u8], letters: &str) -> Option<&'w [u8]> {
    for letter in letters.bytes() {
        while let [sign, rest @ ..] = words
            && !sign.is_ascii_alphanumeric()
        {
            words = rest;
        }
        words = words.strip_prefix(&[letter])?;
    }
    Some(words)
}

/// Whether a reader that folds signs takes `name` for one that begins with `beginning`, which must be plain and in lower case.
pub fn begins_as(name: &HeaderName, beginning: &str) -> bool {
    let name = name.as_str().as_bytes();
    name.len() >= beginning.len()
        && name
            .iter()
            .zip(beginning.as_bytes())
            .all(|(&sent, &known)| sent == known || known == b'-' && !sent.is_ascii_alphanumeric())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_sign_folds_to_one() {
        for sign in "!#$%&'*+-.^_`|~".chars() {
            let name: HeaderName = format!("remote{sign}user").parse().unwrap();
            assert!(reads_as(&name, "remote-user"), "{name}");
            assert_eq!(fold(&name), "remote-user");
            assert_eq!(is_plain(&name), sign == '-', "{name}");
        }
        for other in ["remotexuser", "remote-users", "remote-use", "remote1user"] {
            assert!(!reads_as(&other.parse().unwrap(), "remote-user"), "{other}");
        }
    }

    #[test]
    fn a_beginning_is_read_as_a_name_is() {
        for (name, begins) in [
            ("remote-user", true),
            ("remote-", true),
            ("remote_role", true),
            ("remote~", true),
            ("remote", false),
            ("remotes-user", false),
            ("x-remote-user", false),
        ] {
            assert_eq!(begins_as(&name.parse().unwrap(), "remote-"), begins, "{name}");
        }
    }

    #[test]
    fn words_begin_behind_signs() {
        let name = "--x-b2.C_".parse().unwrap();
        let found: Vec<&str> = words(&name)
            .map(|words| std::str::from_utf8(words).unwrap())
            .collect();
        assert_eq!(found, ["x-b2.c_", "b2.c_", "c_"]);
    }

    #[test]
    fn letters_are_found_whatever_signs_are_between_them() {
        for (words, rest) in [
            ("url-prefix", Some("-prefix")),
            ("u_r~l", Some("")),
            ("-url", Some("")),
            ("ur", None),
            ("curl", None),
        ] {
            let found = after_letters(words.as_bytes(), "url");
            assert_eq!(found, rest.map(str::as_bytes), "{words}");
        }
    }
}
