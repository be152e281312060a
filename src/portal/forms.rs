//! Form bodies: `application/x-www-form-urlencoded`, or a JSON object with these fields.

use std::collections::BTreeMap;

use http::HeaderMap;
use http::header::CONTENT_TYPE;
use percent_encoding::percent_decode;
use serde::de::{self, Deserialize, Deserializer, MapAccess, Visitor};

use crate::secret::Secret;

/// The fields that a form may send several times, as those of ticked boxes: a list, joined by commas.
const LISTS: [&str; 1] = ["accounts"];

/// The fields by name; each is a secret, since it may be a password.
#[derive(Debug, Default)]
pub(super) struct Fields(BTreeMap<String, Secret<String>>);

/// Why a body was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum FormError {
    #[error("the content type is neither a form's nor JSON's")]
    ContentType,
    #[error("the body is malformed")]
    Malformed,
    #[error("a field stands in it twice")]
    Duplicate,
}

impl Fields {
    pub(super) fn parse(headers: &HeaderMap, body: &[u8]) -> Result<Self, FormError> {
        if body.is_empty() {
            return Ok(Self::default());
        }
        match media_type(headers).as_str() {
            "application/x-www-form-urlencoded" => Self::urlencoded(body),
            "application/json" => serde_json::from_slice(body).map_err(|_| FormError::Malformed),
            _ => Err(FormError::ContentType),
        }
    }

    fn urlencoded(body: &[u8]) -> Result<Self, FormError> {
        let mut fields = Self::default();
        for pair in body.split(|b| *b == b'&').filter(|pair| !pair.is_empty()) {
            let (name, value) = match pair.iter().position(|b| *b == b'=') {
                Some(at) => (&pair[..at], &pair[at + 1..]),
                None => (pair, &[][..]),
            };
            fields.insert(decode(name)?, decode(value)?)?;
        }
        Ok(fields)
    }

    fn insert(&mut self, name: String, value: String) -> Result<(), FormError> {
        let known = self.0.remove(&name);
        let value = match known {
            None => value,
            // A comma in one of them would split it.
            Some(known) if LISTS.contains(&name.as_str()) => {
                if value.contains(',') {
                    return Err(FormError::Malformed);
                }
                format!("{},{value}", known.expose())
            }
            Some(_) => return Err(FormError::Duplicate),
        };
        self.0.insert(name, Secret::new(value));
        Ok(())
    }

    /// The text of a field; empty if it is missing.
    pub(super) fn text(&self, name: &str) -> &str {
        self.0.get(name).map_or("", |value| value.expose().as_str())
    }

    /// Takes a field as a secret; empty if it is missing.
    pub(super) fn secret(&mut self, name: &str) -> Secret<String> {
        self.0.remove(name).unwrap_or_else(|| Secret::new(String::new()))
    }

    /// Returns whether the terms were accepted.
    pub(super) fn agrees(&self) -> bool {
        self.is_ticked("agree")
    }

    /// Returns whether a checkbox was ticked.
    pub(super) fn is_ticked(&self, name: &str) -> bool {
        matches!(self.text(name), "true" | "on" | "1" | "yes")
    }

    /// The fields that a page may send again: all but passwords.
    pub(super) fn sent(&self) -> Vec<(&str, &str)> {
        let pairs = self.0.iter().filter(|(name, _)| !name.contains("password"));
        pairs
            .map(|(name, value)| (name.as_str(), value.expose().as_str()))
            .collect()
    }
}

/// Trims a token that was copied from a mail, in which full stops, brackets or blanks around the link may
/// stick to it.
pub(super) fn token_in(text: &str) -> &str {
    text.trim_matches(|c: char| !c.is_ascii_alphanumeric() && c != '-' && c != '_')
}

/// Returns whether the body is JSON.
pub(super) fn is_json(headers: &HeaderMap) -> bool {
    media_type(headers) == "application/json"
}

fn media_type(headers: &HeaderMap) -> String {
    let value = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let essence = value.unwrap_or_default().split(';').next().unwrap_or_default();
    essence.trim().to_ascii_lowercase()
}

/// Decodes a value. Invalid UTF-8 is refused, since a password must not change.
fn decode(raw: &[u8]) -> Result<String, FormError> {
    let spaced: Vec<u8> = raw.iter().map(|b| if *b == b'+' { b' ' } else { *b }).collect();
    let text = percent_decode(&spaced)
        .decode_utf8()
        .map_err(|_| FormError::Malformed)?;
    Ok(text.into_owned())
}

impl<'de> Deserialize<'de> for Fields {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(FieldsVisitor)
    }
}

struct FieldsVisitor;

impl<'de> Visitor<'de> for FieldsVisitor {
    type Value = Fields;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an object of texts, numbers and lists of texts")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields, A::Error> {
        let mut fields = Fields::default();
        while let Some((name, value)) = map.next_entry::<String, Scalar>()? {
            let text = match value {
                Scalar::Text(text) => text,
                Scalar::Flag(flag) => Secret::new(if flag { "true" } else { "" }.to_owned()),
                Scalar::Number(number) => Secret::new(number.to_string()),
                Scalar::Nothing(()) => Secret::new(String::new()),
                // Joined like the form's; a comma in a text would split it.
                Scalar::List(texts) if texts.iter().any(|text| text.contains(',')) => {
                    return Err(de::Error::custom("a text of a list has a comma"));
                }
                Scalar::List(texts) => Secret::new(texts.join(",")),
            };
            if fields.0.insert(name, text).is_some() {
                return Err(de::Error::custom("a field stands in it twice"));
            }
        }
        Ok(fields)
    }
}

#[derive(serde::Deserialize)]
#[serde(untagged)]
enum Scalar {
    Text(Secret<String>),
    Flag(bool),
    /// Integers only: other numbers have several spellings.
    Number(i64),
    Nothing(()),
    List(Vec<String>),
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(kind: &'static str, body: &[u8]) -> Result<Fields, FormError> {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, kind.parse().unwrap());
        Fields::parse(&headers, body)
    }

    const FORM: &str = "application/x-www-form-urlencoded";

    #[test]
    fn forms_and_json_say_the_same() {
        for (kind, body) in [
            (FORM, "login=a%40b&password=%ED%95%9C+%2B&agree=true".as_bytes()),
            (
                "Application/JSON; charset=utf-8",
                r#"{"login":"a@b","password":"한 +","agree":true,"rd":null}"#.as_bytes(),
            ),
        ] {
            let mut fields = parse(kind, body).unwrap();
            assert_eq!(fields.text("login"), "a@b");
            assert_eq!(fields.secret("password").expose(), "한 +");
            assert!(fields.agrees());
            assert_eq!(fields.text("rd"), "");
        }
    }

    #[test]
    fn numbers_and_lists_say_what_a_form_says_in_text() {
        let body = r#"{"days":7,"groups":["ops","dev"],"none":[]}"#;
        let fields = parse("application/json", body.as_bytes()).unwrap();
        assert_eq!(
            (fields.text("days"), fields.text("groups"), fields.text("none")),
            ("7", "ops,dev", "")
        );
    }

    #[test]
    fn ticked_boxes_are_a_list_and_other_fields_stand_once() {
        let fields = parse(FORM, b"accounts=a&reason=x&accounts=b%3Av").unwrap();
        assert_eq!(fields.text("accounts"), "a,b:v");
        let again = parse(FORM, b"accounts=a%2Cb%3Av").unwrap();
        assert_eq!(again.text("accounts"), "a,b:v");
        assert_eq!(
            parse(FORM, b"accounts=a&accounts=b%2Cc").unwrap_err(),
            FormError::Malformed
        );
    }

    #[test]
    fn what_a_mail_program_takes_for_a_part_of_a_token_is_none() {
        for text in [
            "-a_B9_",
            "-a_B9_.",
            "<-a_B9_>",
            "-a_B9_>.",
            " -a_B9_\u{a0}",
            "\"-a_B9_\",",
        ] {
            assert_eq!(token_in(text), "-a_B9_", "{text}");
        }
        assert_eq!(token_in("a.b"), "a.b");
        assert_eq!(token_in(">"), "");
    }

    #[test]
    fn what_can_be_read_in_two_ways_is_not_read() {
        assert_eq!(parse(FORM, b"a=1&a=2").unwrap_err(), FormError::Duplicate);
        assert_eq!(parse(FORM, b"a=%ff").unwrap_err(), FormError::Malformed);
        assert_eq!(parse("text/plain", b"a=1").unwrap_err(), FormError::ContentType);
        for json in [
            r#"{"a":"1","a":"2"}"#,
            r#"{"a":1.0}"#,
            r#"{"a":["b,c"]}"#,
            r#"{"a":[["b"]]}"#,
            r#"{"a":[1]}"#,
            r#"{"a":{"b":"c"}}"#,
            "[]",
            "{",
            "null",
            r#""a""#,
        ] {
            assert_eq!(
                parse("application/json", json.as_bytes()).unwrap_err(),
                FormError::Malformed,
                "{json}"
            );
        }
    }
}
