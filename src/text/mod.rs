//! The texts of pages and mails, one TOML file per language.
//!
//! Languages are built in (`FILES`) or come from the operator's folder, where a file may also override texts
//! of a built-in language. Keys are dotted, placeholders are `{name}`. A test holds that all built-in files
//! have the same keys and placeholders.

mod datetime;
mod overrides;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

pub use overrides::{TextError, is_language_tag};

/// The built-in languages: tag (BCP 47) and file. The first is the default, and fills gaps of the operator's
/// languages.
const FILES: &[(&str, &str)] = &[("en", include_str!("en.toml")), ("ko", include_str!("ko.toml"))];

/// The built-in texts, for an operator to start from: tags and files.
pub fn built_in_files() -> impl Iterator<Item = (&'static str, &'static str)> {
    FILES.iter().copied()
}

/// An index into the languages of [`Texts`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lang(usize);

/// The texts of all languages.
#[derive(Debug)]
pub struct Texts {
    offered: Vec<Language>,
    /// Languages of which too much is missing, by tag and how many sentences.
    withheld: Vec<(String, usize)>,
}

/// Percent of the sentences that a language of the operator's must have to be offered: a page that is English here and there
/// helps no reader.
const ENOUGH: usize = 90;

#[derive(Debug)]
struct Language {
    tag: String,
    texts: BTreeMap<String, String>,
    /// Number of texts that fall back to English.
    untranslated: usize,
}

impl Texts {
    /// Loads the built-in languages.
    pub fn built_in() -> Result<Self, TextError> {
        FILES
            .iter()
            .map(|&(tag, file)| {
                Ok(Language {
                    tag: tag.to_owned(),
                    texts: parse(file).map_err(|fault| TextError::new(Path::new(tag), &fault))?,
                    untranslated: 0,
                })
            })
            .collect::<Result<_, _>>()
            .map(|offered| Self {
                offered,
                withheld: Vec::new(),
            })
    }

    /// Loads the built-in languages, and each `<tag>.toml` of the operator's folder over them.
    pub fn load(folder: &Path) -> Result<Self, TextError> {
        let mut texts = Self::built_in()?;
        if !folder.as_os_str().is_empty() {
            texts.lay_over(folder)?;
        }
        Ok(texts)
    }

    /// Returns all languages.
    pub fn languages(&self) -> impl Iterator<Item = Lang> + use<> {
        (0..self.offered.len()).map(Lang)
    }

    /// Returns the language of a tag. `ko-KR` falls back to `ko` if it has no texts of its own.
    pub fn language(&self, tag: &str) -> Option<Lang> {
        let primary = tag.split('-').next().unwrap_or(tag);
        let named = |name: &str| {
            self.offered
                .iter()
                .position(|lang| lang.tag.eq_ignore_ascii_case(name))
        };
        named(tag).or_else(|| named(primary)).map(Lang)
    }

    /// Returns the best language for an `Accept-Language` value (RFC 9110, section 12.5.4).
    pub fn accepted(&self, header: &str) -> Option<Lang> {
        let mut best = None;
        // No tag has fewer than two letters.
        for range in header.split(',').filter(|range| range.len() > 1) {
            let (tag, quality) = quality(range);
            if let Some(lang) = self.language(tag)
                && quality > best.map_or(0, |(_, quality)| quality)
            {
                best = Some((lang, quality));
            }
        }
        best.map(|(lang, _)| lang)
    }

    /// Returns a language's tag, for `lang` and `?lang=`.
    pub fn tag(&self, lang: Lang) -> &str {
        &self.offered[lang.0].tag
    }

    /// Returns the languages with untranslated texts, by tag, with their number; English is shown for these.
    pub fn gaps(&self) -> impl Iterator<Item = (&str, usize)> {
        self.offered
            .iter()
            .filter(|lang| lang.untranslated > 0)
            .map(|lang| (lang.tag.as_str(), lang.untranslated))
    }

    /// Languages that are not offered, as they lack more than a tenth of the sentences, by tag and how many.
    pub fn withheld(&self) -> &[(String, usize)] {
        &self.withheld
    }

    /// Returns the text of a key, or the key itself if there is none.
    pub fn get<'a>(&'a self, lang: Lang, key: &'a str) -> &'a str {
        self.find(lang, key).unwrap_or(key)
    }

    /// Returns the text of a key, if there is one.
    pub fn find(&self, lang: Lang, key: &str) -> Option<&str> {
        self.offered[lang.0].texts.get(key).map(String::as_str)
    }

    /// Returns the placeholders in the text of a key.
    pub fn placeholders(&self, lang: Lang, key: &str) -> BTreeSet<&str> {
        self.find(lang, key).map(placeholders).unwrap_or_default()
    }

    /// Returns the most similar key.
    pub fn nearest(&self, key: &str) -> Option<&str> {
        overrides::nearest(key, &self.offered.first()?.texts)
    }

    /// Returns the text for a count: `key.one` or `key.other`, with `{count}` filled in.
    pub fn count(&self, lang: Lang, key: &str, count: u64) -> String {
        let form = if count == 1 { "one" } else { "other" };
        let text = self.find(lang, &format!("{key}.{form}")).unwrap_or(key);
        fill(text, &[("count", &count.to_string())])
    }
}

fn parse(file: &str) -> Result<BTreeMap<String, String>, String> {
    let table = file.parse::<toml::Table>().map_err(|error| error.to_string())?;
    Ok(flat(&table))
}

/// The texts by their dotted keys.
fn flat(table: &toml::Table) -> BTreeMap<String, String> {
    let mut texts = BTreeMap::new();
    flatten("", table, &mut texts);
    texts
}

/// Parses a member of an `Accept` or `Accept-Language` list into its name and weight, in thousandths (RFC
/// 9110, section 12.4.2).
pub fn quality(member: &str) -> (&str, u16) {
    let mut parts = member.split(';');
    let name = parts.next().unwrap_or_default().trim();
    let weight = parts
        .filter_map(|part| part.trim().strip_prefix("q="))
        .map(|value| value.trim().parse::<f32>().unwrap_or(0.0).clamp(0.0, 1.0))
        .next()
        .unwrap_or(1.0);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "between 0 and 1000"
    )]
    let thousandths = (weight * 1000.0) as u16;
    (name, thousandths)
}

fn flatten(prefix: &str, table: &toml::Table, into: &mut BTreeMap<String, String>) {
    for (name, value) in table {
        let key = if prefix.is_empty() {
            name.clone()
        } else {
            format!("{prefix}.{name}")
        };
        match value {
            toml::Value::Table(inner) => flatten(&key, inner, into),
            toml::Value::String(text) => {
                into.insert(key, text.clone());
            }
            other => {
                into.insert(key, other.to_string());
            }
        }
    }
}

/// Returns the names of a text's placeholders.
fn placeholders(text: &str) -> BTreeSet<&str> {
    text.split('{')
        .skip(1)
        .filter_map(|rest| rest.split('}').next())
        .collect()
}

/// Fills placeholders in one pass, so that values are never taken for placeholders.
pub fn fill(text: &str, values: &[(&str, &str)]) -> String {
    let mut filled = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(open) = rest.find('{') {
        let (before, after) = rest.split_at(open);
        filled.push_str(before);
        let close = after.find('}').map_or(after.len(), |close| close + 1);
        let (placeholder, tail) = after.split_at(close);
        let name = placeholder.trim_matches(['{', '}']);
        let value = values.iter().find(|(known, _)| *known == name);
        filled.push_str(value.map_or(placeholder, |(_, value)| value));
        rest = tail;
    }
    filled.push_str(rest);
    filled
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{AccountStatus, AuditKind, DetailKey, MailKind};
    use crate::refusal::Problem;

    #[test]
    fn languages_have_the_same_keys_and_placeholders() {
        let texts = Texts::built_in().unwrap();
        let english = &texts.offered[0].texts;
        for Language { tag, texts, .. } in &texts.offered {
            assert!(english.keys().eq(texts.keys()), "{tag}: other keys");
            for (key, text) in english {
                assert_eq!(placeholders(text), placeholders(&texts[key]), "{tag} {key}");
                assert!(!texts[key].trim().is_empty(), "{tag} {key}");
            }
        }
    }

    fn sources(folder: &Path, into: &mut String) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                sources(&path, into);
            } else if path.extension().is_some_and(|end| end == "rs" || end == "html") {
                into.push_str(&std::fs::read_to_string(path).unwrap());
            }
        }
    }

    #[test]
    fn every_key_is_used_and_every_used_key_exists() {
        let mut code = include_str!("datetime.rs").to_owned();
        for writer in ["src/portal", "src/services/mail"] {
            sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join(writer), &mut code);
        }
        let texts = Texts::built_in().unwrap();
        let known: BTreeSet<&str> = texts.offered[0].texts.keys().map(String::as_str).collect();
        let kinds = Problem::ALL.iter().flat_map(|problem| {
            ["title", "detail", "operator"].map(|part| format!("problem.{}.{part}", problem.slug()))
        });
        let mut used: BTreeSet<String> = kinds.collect();
        // Keys that templates build from values.
        let mut shown = |group: &str, names: Vec<&str>| {
            used.extend(
                names
                    .iter()
                    .map(|name| format!("{group}.{}", name.replace(' ', "-"))),
            );
        };
        shown(
            "status",
            AccountStatus::ALL.iter().map(|status| status.as_str()).collect(),
        );
        shown("event", AuditKind::ALL.iter().map(|kind| kind.as_str()).collect());
        shown("fact", DetailKey::ALL.iter().map(|key| key.as_str()).collect());
        shown("topic", MailKind::NAMES.to_vec());
        let names: BTreeSet<&str> = known.iter().filter_map(|key| key.split('.').next()).collect();
        for literal in code.split('"') {
            let looks_like_a_key = literal.split_once('.').is_some_and(|(first, rest)| {
                names.contains(first)
                    && !rest.is_empty()
                    && rest
                        .bytes()
                        .all(|b| b.is_ascii_lowercase() || b".-_".contains(&b))
            });
            if looks_like_a_key && !literal.contains(".html") && literal != "login.username" {
                if known.contains(format!("{literal}.one").as_str()) {
                    used.insert(format!("{literal}.one"));
                    used.insert(format!("{literal}.other"));
                } else {
                    used.insert(literal.to_owned());
                }
            }
        }
        let used: BTreeSet<&str> = used.iter().map(String::as_str).collect();
        assert_eq!(
            used.difference(&known).collect::<Vec<_>>(),
            Vec::<&&str>::new(),
            "missing"
        );
        assert_eq!(
            known.difference(&used).collect::<Vec<_>>(),
            Vec::<&&str>::new(),
            "unused"
        );
    }

    #[test]
    fn a_value_is_never_taken_for_a_placeholder() {
        assert_eq!(
            fill("{a} and {b} {c", &[("a", "{b}"), ("b", "2")]),
            "{b} and 2 {c"
        );
    }

    #[test]
    fn the_reader_gets_the_language_they_ask_for() {
        let texts = Texts::built_in().unwrap();
        for (header, tag) in [
            ("ko-KR,ko;q=0.9,en;q=0.8", Some("ko")),
            ("en-GB;q=0.5, ko;q=0.7", Some("ko")),
            ("ko;q=0, en;q=0.1", Some("en")),
            ("fr, de", None),
            ("", None),
        ] {
            let lang = texts.accepted(header);
            assert_eq!(lang.map(|lang| texts.tag(lang)), tag, "{header}");
        }
    }
}
