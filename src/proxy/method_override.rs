//! Headers by which a request asks to be taken for one of another method.

use http::{HeaderMap, HeaderName};

/// Their names, with `-` for every character that some servers read as one.
const NAMES: [&str; 3] = ["x-http-method-override", "x-http-method", "x-method-override"];

/// Whether a request has one.
pub(super) fn is_in(headers: &HeaderMap) -> bool {
    headers.keys().any(is_one)
}

fn is_one(name: &HeaderName) -> bool {
    let name = name.as_str();
    // Cheap for all others: nearly every request has none.
    name.starts_with('x')
        && NAMES.iter().any(|known| {
            let mut pairs = known.bytes().zip(name.bytes());
            known.len() == name.len()
                && pairs.all(|(known, byte)| known == byte || known == b'-' && !byte.is_ascii_alphanumeric())
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
            ("method-override", false),
        ] {
            assert_eq!(is_one(&name.parse().unwrap()), is, "{name}");
        }
    }
}
