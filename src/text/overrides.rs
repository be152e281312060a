//! The operator's texts: a folder with a file for each language to add or to override.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use super::{ENOUGH, Language, Texts, flat, placeholders};
use crate::regular_file;

/// The key whose text is a list.
const MONTHS: &str = "date.months";

/// A text file that is invalid.
#[derive(Debug, thiserror::Error)]
#[error("{}: {fault}", file.display())]
pub struct TextError {
    file: PathBuf,
    line: Option<usize>,
    fault: String,
}

impl TextError {
    pub(super) fn new(file: &Path, fault: &impl ToString) -> Self {
        Self::at(file, None, fault)
    }

    fn at(file: &Path, line: Option<usize>, fault: &impl ToString) -> Self {
        Self {
            file: file.to_owned(),
            line,
            fault: fault.to_string(),
        }
    }

    /// The file.
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// The line in it, from 1, if one is at fault.
    pub fn line(&self) -> Option<usize> {
        self.line
    }
}

impl Texts {
    pub(super) fn lay_over(&mut self, folder: &Path) -> Result<(), TextError> {
        for file in files(folder).map_err(|error| TextError::new(folder, &error))? {
            self.add(&file)?;
        }
        Ok(())
    }

    fn add(&mut self, file: &Path) -> Result<(), TextError> {
        let wrong = |line, fault: &dyn std::fmt::Display| TextError::at(file, line, &fault);
        let tag = file.file_stem().and_then(|stem| stem.to_str());
        let tag = tag
            .filter(|tag| is_language_tag(tag))
            .ok_or_else(|| wrong(None, &"its name is not a language such as `fr.toml`"))?;
        let source = regular_file::read_to_string(file).map_err(|error| wrong(None, &error))?;
        let table = source.parse::<toml::Table>().map_err(|error| {
            let line = error.span().map(|span| line_at(&source, span.start));
            wrong(line, &error)
        })?;
        let own = flat(&table);
        check(&own, &self.offered[0].texts).map_err(|(key, fault)| wrong(line_of(&source, &key), &fault))?;
        if let Some(known) = self
            .offered
            .iter_mut()
            .find(|lang| lang.tag.eq_ignore_ascii_case(tag))
        {
            known.texts.extend(own);
            return Ok(());
        }
        let all = self.offered[0].texts.len();
        let untranslated = all - own.len();
        if own.len() * 100 < all * ENOUGH {
            self.withheld.push((tag.to_owned(), untranslated));
            return Ok(());
        }
        let mut texts = self.offered[0].texts.clone();
        // The language's own name has no English fallback.
        texts.insert("language.name".to_owned(), tag.to_owned());
        texts.extend(own);
        self.offered.push(Language {
            tag: tag.to_owned(),
            texts,
            untranslated,
        });
        Ok(())
    }
}

/// Every key is one that is used, and asks for nothing that is not known where it is used. Otherwise the key, and what is
/// wrong with it.
fn check(own: &BTreeMap<String, String>, english: &BTreeMap<String, String>) -> Result<(), (String, String)> {
    for (key, text) in own {
        let wrong = |fault: String| Err((key.clone(), fault));
        let Some(original) = english.get(key) else {
            let nearest = nearest(key, english).unwrap_or_default();
            return wrong(format!("{key} is no text; did you mean {nearest}?"));
        };
        let unknown: BTreeSet<_> = placeholders(text)
            .difference(&placeholders(original))
            .copied()
            .collect();
        if let Some(unknown) = unknown.first() {
            return wrong(format!("{key} has {{{unknown}}}, which is not known there"));
        }
        if key == MONTHS && text.split(", ").count() != 12 {
            return wrong(format!("{key} names the twelve months, with \", \" between them"));
        }
    }
    Ok(())
}

/// The line on which a byte of a text is, from 1.
fn line_at(text: &str, offset: usize) -> usize {
    text.bytes().take(offset).filter(|byte| *byte == b'\n').count() + 1
}

/// The line on which a dotted key stands, whichever part of it the header of a table says.
fn line_of(source: &str, key: &str) -> Option<usize> {
    let written = |text: &str| text.replace(['"', '\'', ' '], "");
    let mut table = String::new();
    for (index, line) in source.lines().enumerate() {
        let line = line.trim();
        if let Some(header) = line.strip_prefix('[').and_then(|rest| rest.split(']').next()) {
            table = written(header) + ".";
        } else if let Some((name, _)) = line.split_once('=')
            && format!("{table}{}", written(name)) == key
        {
            return Some(index + 1);
        }
    }
    None
}

/// Returns the most similar key.
pub(super) fn nearest<'a>(key: &str, english: &'a BTreeMap<String, String>) -> Option<&'a str> {
    let alike = |known: &&String| strsim::jaro_winkler(key, known);
    let nearest = english.keys().max_by(|a, b| alike(a).total_cmp(&alike(b)));
    nearest.map(String::as_str)
}

/// Sorted by name, so that pages list languages in a stable order.
fn files(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|end| end == "toml") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// Longest language tag, in bytes; longer than any that RFC 5646 registers.
const LONGEST_TAG: usize = 64;

/// Whether a text has the form of a language tag (RFC 5646); it then needs no escaping in headers and
/// attributes.
pub fn is_language_tag(tag: &str) -> bool {
    let mut subtags = tag.split('-');
    let primary = subtags.next().unwrap_or_default();
    tag.len() <= LONGEST_TAG
        && (2..=3).contains(&primary.len())
        && primary.bytes().all(|b| b.is_ascii_alphabetic())
        && subtags
            .all(|part| (1..=8).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_alphanumeric()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(files: &[(&str, &str)]) -> Result<Texts, String> {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            fs::write(folder.path().join(name), text).unwrap();
        }
        Texts::load(folder.path()).map_err(|error| error.to_string())
    }

    /// A file with so many of the English sentences, for another language, and a title of its own.
    fn partial(percent: usize) -> String {
        let english = &Texts::built_in().unwrap().offered[0].texts;
        let mut own = english.clone();
        own.insert("language.name".to_owned(), "Français".to_owned());
        own.insert("login.title".to_owned(), "Connexion".to_owned());
        own.remove("login.password");
        let missing = english.len() - english.len() * percent / 100;
        let keys: Vec<String> = own
            .keys()
            .filter(|key| key.starts_with("mail.") || key.starts_with("admin."))
            .cloned()
            .collect();
        for key in keys.into_iter().chain(english.keys().rev().cloned()) {
            if english.len() - own.len() >= missing {
                break;
            }
            if !["language.name", "login.title"].contains(&key.as_str()) {
                own.remove(&key);
            }
        }
        let lines = own
            .iter()
            .map(|(key, text)| format!("{key} = {}", toml::Value::from(text.as_str())));
        lines.collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn a_third_language_is_one_file_and_a_built_in_sentence_can_be_changed() {
        let texts = load(&[
            ("fr.toml", &partial(95)),
            ("ko.toml", "[login]\ntitle = \"들어가기\"\n"),
        ])
        .unwrap();
        let french = texts.language("fr-CA").unwrap();
        assert_eq!(texts.tag(french), "fr");
        assert_eq!(texts.get(french, "login.title"), "Connexion");
        assert_eq!(texts.get(french, "login.password"), "Password");
        assert_eq!(texts.accepted("fr, en;q=0.5"), Some(french));
        assert_eq!(texts.gaps().map(|(tag, _)| tag).collect::<Vec<_>>(), ["fr"]);
        let korean = texts.language("ko").unwrap();
        assert_eq!(texts.get(korean, "login.title"), "들어가기");
        assert_eq!(texts.languages().count(), 3);
        assert_eq!(texts.withheld(), []);
    }

    #[test]
    fn a_language_that_lacks_more_than_a_tenth_is_not_offered() {
        for (percent, offered) in [(50, false), (89, false), (91, true)] {
            let texts = load(&[("fr.toml", &partial(percent))]).unwrap();
            assert_eq!(texts.language("fr").is_some(), offered, "{percent}");
            assert_eq!(texts.accepted("fr").is_some(), offered, "{percent}");
            assert_eq!(texts.withheld().len(), usize::from(!offered), "{percent}");
            assert_eq!(texts.gaps().count(), usize::from(offered), "{percent}");
        }
    }

    #[test]
    fn what_would_never_be_seen_is_refused_with_its_name() {
        for (name, text, fault) in [
            (
                "fr.toml",
                "login.titel = \"x\"",
                "fr.toml: login.titel is no text; did you mean login.title?",
            ),
            (
                "fr.toml",
                "login.title = \"{nobody}\"",
                "fr.toml: login.title has {nobody}",
            ),
            ("fr.toml", "login.title = ", "fr.toml: "),
            (
                "fr.toml",
                "date.months = \"janvier, février\"",
                "fr.toml: date.months names the twelve months",
            ),
            ("french language.toml", "", "is not a language such as `fr.toml`"),
        ] {
            let error = load(&[(name, text)]).unwrap_err();
            assert!(error.contains(fault), "{error}");
        }
        assert!(
            Texts::load(Path::new("/nowhere"))
                .unwrap_err()
                .to_string()
                .contains("/nowhere")
        );
    }
}
