//! Method override headers, such as `X-HTTP-Method-Override`.

use http::HeaderName;

use super::{after_letters, words};

/// No such name is longer.
const LONGEST: usize = 64;

/// The words that may stand before the last one, behind `X`. Of two that begin alike the longer one comes first.
const BEFORE: [&str; 13] = [
    "https",
    "http",
    "override",
    "requested",
    "request",
    "tunnelled",
    "tunneled",
    "tunnel",
    "actual",
    "intended",
    "original",
    "real",
    "rest",
];

/// What it names, and what may follow.
const NAMED: [&str; 2] = ["method", "verb"];
const AFTER: [&str; 5] = ["override", "overridden", "overriding", "soverride", "tunnel"];

/// What such a name may end with, whatever stands before: `X-Payload-HTTP-Method-Override`.
const ENDINGS: [&str; 4] = ["httpmethod", "httpverb", "methodoverride", "verboverride"];

/// Whether some application takes the value of this header for the method of its request: its name is made of words for a
/// method and for taking its place. `Access-Control-Request-Method` and `X-Payment-Method` have others.
pub fn overrides_method(name: &HeaderName) -> bool {
    if name.as_str().len() > LONGEST {
        return false;
    }
    let ends_so = |words: &[u8]| {
        let mut rests = ENDINGS.iter().filter_map(|ending| after_letters(words, ending));
        rests.any(<[u8]>::is_empty)
    };
    if words(name).any(ends_so) {
        return true;
    }
    let name = name.as_str().as_bytes();
    let mut words = after_letters(name, "x").unwrap_or(name);
    let mut last = "";
    while let Some((word, rest)) = BEFORE
        .iter()
        .find_map(|word| Some((*word, after_letters(words, word)?)))
    {
        if word == "override" && rest.is_empty() {
            return last == "http";
        }
        (last, words) = (word, rest);
    }
    let named = NAMED.iter().find_map(|named| after_letters(words, named));
    named.is_some_and(|rest| {
        rest.is_empty()
            || AFTER
                .iter()
                .any(|after| after_letters(rest, after).is_some_and(<[u8]>::is_empty))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_in_every_spelling_that_servers_take_for_it() {
        for (name, is) in [
            ("X-HTTP-Method-Override", true),
            ("x_http_method_override", true),
            ("x-http.method", true),
            ("X-Method~Override", true),
            ("x-http-methods", false),
            ("x-http-method-", false),
            ("xxhttp-method", false),
            ("Method-Override", true),
            ("method-overrides", false),
        ] {
            assert_eq!(overrides_method(&name.parse().unwrap()), is, "{name}");
        }
    }

    #[test]
    fn s75_a_name_that_says_that_it_names_a_method() {
        for name in [
            "X-HTTP-Verb",
            "X-HTTP-Verb-Override",
            "X-Method",
            "X-Verb",
            "X-Override-Method",
            "Override-Method",
            "X-Override-Verb",
            "X-Request-Method",
            "Request-Method",
            "X-Requested-Method",
            "X-HTTP-Request-Method",
            "X-HTTP-Override",
            "HTTP-Override",
            "HTTP-Method-Override",
            "X-HTTP-MethodOverride",
            "XHTTPMethodOverride",
            "X-HTTP-Methods-Override",
            "X-Tunneled-Method",
            "X-Tunneled-Verb",
            "X-Method-Tunnel",
            "X-Rest-Method",
            "X-Real-Method",
            "X-Original-HTTP-Method",
            "X-Payload-HTTP-Method-Override",
            "X-Acme-Method-Override",
            "Goog_HTTP-Method",
            "_method",
        ] {
            assert!(overrides_method(&name.parse().unwrap()), "{name}");
        }
        for name in [
            "Access-Control-Request-Method",
            "Access-Control-Allow-Methods",
            "X-Payment-Method",
            "X-Auth-Method",
            "X-RestLi-Method",
            "X-Override",
            "X-Request-Id",
            "X-HTTP-Version",
            "X-Methodology",
            "X-Verbose",
            "X",
        ] {
            assert!(!overrides_method(&name.parse().unwrap()), "{name}");
        }
    }
}
