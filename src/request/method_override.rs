//! Method override headers, such as `X-HTTP-Method-Override`.

use http::HeaderName;

use super::reads_as;

/// The names; `-` also stands for the signs that some servers fold to it.
const NAMES: [&str; 4] = [
    "x-http-method-override",
    "x-http-method",
    "x-method-override",
    "method-override",
];

/// Whether some application takes the value of this header for the method of its request.
pub fn overrides_method(name: &HeaderName) -> bool {
    NAMES.iter().any(|known| reads_as(name, known))
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
}
