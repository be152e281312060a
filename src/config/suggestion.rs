//! Suggestions: how an error of a configuration file can be fixed.

use crate::request::Host;

/// Returns "did you mean …?" if a known word is similar to what was written.
pub(super) fn did_you_mean<'w>(written: &str, known: impl IntoIterator<Item = &'w str>) -> Option<String> {
    let written = written.to_lowercase();
    known
        .into_iter()
        .map(|word| (strsim::jaro_winkler(&written, &word.to_lowercase()), word))
        .filter(|(likeness, _)| *likeness >= 0.8)
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .map(|(_, word)| format!("did you mean `{word}`?"))
}

/// Returns "write https://…" if a text is a host with `http://` or without a scheme.
pub(super) fn write_https(text: &str) -> Option<String> {
    let host = text.strip_prefix("http://").unwrap_or(text).trim_end_matches('/');
    let is_host = host.contains(['.', ':']) && host.parse::<Host>().is_ok();
    is_host.then(|| format!("write https://{host}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_lacks_its_scheme() {
        for (text, suggestion) in [
            ("console.example.com", Some("write https://console.example.com")),
            (
                "console.example.com:8443/",
                Some("write https://console.example.com:8443"),
            ),
            ("http://gw.example.com", Some("write https://gw.example.com")),
            ("[::1]:8443", Some("write https://[::1]:8443")),
            ("hunter2", None),
            ("u:hunter2@gw.example.com", None),
            ("http://gw.example.com/base", None),
            ("ftp://gw.example.com", None),
        ] {
            assert_eq!(write_https(text).as_deref(), suggestion, "{text}");
        }
    }

    #[test]
    fn only_near_words_are_suggested() {
        let known = ["mode", "approval", "verify_email"];
        assert_eq!(did_you_mean("mod", known).unwrap(), "did you mean `mode`?");
        assert_eq!(
            did_you_mean("verify_mail", known).unwrap(),
            "did you mean `verify_email`?"
        );
        assert_eq!(did_you_mean("colour", known), None);
    }
}
