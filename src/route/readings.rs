//! Every path that some application could take a path for.
//!
//! Applications decode, drop parameters, merge slashes and so on, each in an order of its own and some of it more than
//! once. So each of these steps is taken from the path that was sent, and from whatever came of a step before, until
//! nothing new comes of any: the readings are closed under the steps, in any combination and order. Letter case is not
//! among the steps: [`fold`] is for comparing, as whoever ignores case in a path ignores it in what it is compared with.
//!
//! Pure, and linear in the length of the path: what is looked at is bounded.

use std::borrow::Cow;

use percent_encoding::{AsciiSet, CONTROLS, percent_decode, utf8_percent_encode};
use unicode_normalization::{IsNormalized, UnicodeNormalization, is_nfkc_quick};

use super::path::{BadPath, is_blank, require_harmless};

/// So often a path may be percent-encoded. Applications decode once, those behind a proxy of their own twice.
const DEPTH: usize = 3;

/// So many readings of a path are looked at. A path with everything of which there are steps has some dozens.
pub const MOST: usize = 128;

/// So many bytes a reading may be longer than the path: letters that stand for several make it so.
const GROWTH: usize = 1 << 10;

/// So many bytes the readings may have together, beside a few times the length of the path.
const ROOM: usize = 64 << 10;
const TIMES: usize = 6;

/// Something that applications do to a path. `None`: it stays as it is.
type Rewrite = fn(&[u8]) -> Option<Vec<u8>>;

const STEPS: [Rewrite; 16] = [
    decode,
    decode_wide,
    decode_plus,
    decode_latin_1,
    drop_invalid,
    drop_ignorable,
    drop_percent,
    drop_escape,
    drop_breaks,
    drop_parameters,
    merge_slashes,
    drop_authority,
    drop_special_authority,
    cut,
    drop_stream,
    replace_compatible,
];

/// Those that change nothing in a path without dots, blanks and letters beyond ASCII.
const TRIMS: [Rewrite; 2] = [trim_ends, trim_starts];

/// What a path could be taken for beside itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Readings {
    /// Nothing, whether or not case matters: there are no capitals in it.
    Ordinary,
    /// These.
    Others(Vec<String>),
}

impl Readings {
    /// The readings of a path as it was sent. Allocates nothing for an ordinary one.
    pub(super) fn of(path: &str) -> Result<Self, BadPath> {
        let bytes = path.as_bytes();
        if bytes.first() != Some(&b'/') {
            return Err(BadPath::NotAPath);
        }
        if is_ordinary(bytes) {
            return Ok(Self::Ordinary);
        }
        if bytes.contains(&b'#') {
            return Err(BadPath::Fragment);
        }
        require_harmless(bytes)?;
        let others = close(bytes.to_vec())?.into_iter().skip(1);
        Ok(Self::Others(others.map(into_text).collect()))
    }

    /// Those beside the path itself.
    pub(super) fn others(&self) -> &[String] {
        match self {
            Self::Ordinary => &[],
            Self::Others(others) => others,
        }
    }
}

/// How many readings a path has, itself among them.
pub fn count(path: &str) -> Result<usize, BadPath> {
    Readings::of(path).map(|readings| 1 + readings.others().len())
}

/// What cannot stand in a path that is sent, where a reading has it.
const NOT_SENT: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'<')
    .add(b'>')
    .add(b'?')
    .add(b'`');

/// What a path could be taken for beside itself, spelled as it could be sent.
pub fn others(path: &str) -> Result<Vec<String>, BadPath> {
    let readings = Readings::of(path)?;
    let sent = |reading: &String| utf8_percent_encode(reading, NOT_SENT).to_string();
    Ok(readings.others().iter().map(sent).collect())
}

/// A path as those compare it who take letters for the same whatever their case, as do applications and file systems.
pub(super) fn fold(path: &str) -> Cow<'_, str> {
    if !path.is_ascii() {
        // There and back: some letters have one counterpart in one direction alone, as the capital of `ß`.
        let small = path.chars().flat_map(char::to_lowercase);
        let lower = small.flat_map(char::to_uppercase).flat_map(char::to_lowercase);
        // What is left of a dotted capital I.
        return lower.filter(|&letter| letter != '\u{307}').collect();
    }
    if path.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return path.to_ascii_lowercase().into();
    }
    path.into()
}

/// Whether no step changes a path and folding does not either; nearly all paths are such.
fn is_ordinary(path: &[u8]) -> bool {
    let mut last = 0;
    for &byte in path {
        let is_plain = matches!(byte, b'!'..=b'~')
            && !matches!(byte, b'A'..=b'Z' | b'%' | b'+' | b';' | b'\\' | b'#' | b'?');
        let ends_oddly = byte == b'/' && matches!(last, b'/' | b'.');
        if !is_plain || ends_oddly {
            return false;
        }
        last = byte;
    }
    last != b'.'
}

/// All that comes of the steps, each reading once, what they begin with first.
fn close(path: Vec<u8>) -> Result<Vec<Vec<u8>>, BadPath> {
    let (longest, most_bytes) = (GROWTH + path.len(), ROOM + TIMES * path.len());
    let mut bytes = path.len();
    require_shallow(&path)?;
    let mut readings = vec![path];
    let mut next = 0;
    while let Some(reading) = readings.get(next).cloned() {
        let trims = if may_be_trimmed(&reading) { &TRIMS[..] } else { &[] };
        for step in STEPS.iter().chain(trims) {
            let Some(found) = step(&reading).filter(|found| !readings.contains(found)) else {
                continue;
            };
            require_harmless(&found)?;
            bytes += found.len();
            if readings.len() == MOST || found.len() > longest || bytes > most_bytes {
                return Err(BadPath::TooAmbiguous);
            }
            readings.push(found);
        }
        next += 1;
    }
    Ok(readings)
}

fn require_shallow(path: &[u8]) -> Result<(), BadPath> {
    let mut decoded = Cow::Borrowed(path);
    for _ in 0..=DEPTH {
        match decode(&decoded) {
            Some(deeper) => decoded = deeper.into(),
            None => return Ok(()),
        }
    }
    Err(BadPath::TooDeep)
}

/// Bytes that are no text are none of any route's either.
fn into_text(reading: Vec<u8>) -> String {
    String::from_utf8(reading).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}

fn decode(path: &[u8]) -> Option<Vec<u8>> {
    match percent_decode(path).into() {
        Cow::Owned(decoded) => Some(decoded),
        Cow::Borrowed(_) => None,
    }
}

/// `%u0061`, as JavaScript's `escape` writes it and IIS reads it.
fn decode_wide(path: &[u8]) -> Option<Vec<u8>> {
    let mut decoded = Vec::new();
    let mut rest = path;
    while let Some(at) = memchr::memchr(b'%', rest) {
        let (before, escape) = rest.split_at(at);
        decoded.extend_from_slice(before);
        let letter = wide_letter(escape);
        rest = if let Some(letter) = letter {
            decoded.extend_from_slice(letter.encode_utf8(&mut [0; 4]).as_bytes());
            &escape[6..]
        } else {
            decoded.push(b'%');
            &escape[1..]
        };
    }
    decoded.extend_from_slice(rest);
    (decoded.len() < path.len()).then_some(decoded)
}

fn wide_letter(escape: &[u8]) -> Option<char> {
    let [b'%', b'u' | b'U', digits @ ..] = escape.get(..6)? else {
        return None;
    };
    let mut digits = digits.iter().map(|&digit| char::from(digit).to_digit(16));
    let code = digits.try_fold(0, |code, digit| Some(code << 4 | digit?))?;
    char::from_u32(code)
}

/// `+` is a blank for decoders of forms (WHATWG URL, section 5.1), and many an application decodes its path with one:
/// PHP's `urldecode`, Python's `unquote_plus`, Java's `URLDecoder`.
fn decode_plus(path: &[u8]) -> Option<Vec<u8>> {
    memchr::memchr(b'+', path)?;
    let decoded = path.iter().map(|&byte| if byte == b'+' { b' ' } else { byte });
    Some(decoded.collect())
}

/// What is no UTF-8, as letters of Latin-1.
fn decode_latin_1(path: &[u8]) -> Option<Vec<u8>> {
    std::str::from_utf8(path).err()?;
    let letters: String = path.iter().copied().map(char::from).collect();
    Some(letters.into_bytes())
}

/// Without what is no UTF-8, as decoders are told that shall ignore errors.
fn drop_invalid(path: &[u8]) -> Option<Vec<u8>> {
    std::str::from_utf8(path).err()?;
    let valid: String = path.utf8_chunks().map(|chunk| chunk.valid()).collect();
    Some(valid.into_bytes())
}

/// Without letters that are not seen, as comparisons of identifiers leave them out (Unicode's
/// `Default_Ignorable_Code_Point`, as far as it is assigned).
fn drop_ignorable(path: &[u8]) -> Option<Vec<u8>> {
    if path.is_ascii() {
        return None;
    }
    let text = std::str::from_utf8(path).ok()?;
    let seen: String = text.chars().filter(|&letter| !is_ignorable(letter)).collect();
    (seen.len() < text.len()).then(|| seen.into_bytes())
}

fn is_ignorable(letter: char) -> bool {
    matches!(
        letter,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{3164}' | '\u{feff}'
            | '\u{ffa0}'
            | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}'
            | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{fe00}'..='\u{fe0f}'
            | '\u{1bca0}'..='\u{1bca3}'
            | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0000}'..='\u{e0fff}'
    )
}

/// Without a `%` that begins no escape, as lenient decoders read it.
fn drop_percent(path: &[u8]) -> Option<Vec<u8>> {
    without_strays(path, |_| 1)
}

/// The same as nginx's decoder reads it: where one hexadecimal digit follows, that and the byte after it go too.
fn drop_escape(path: &[u8]) -> Option<Vec<u8>> {
    without_strays(path, |escape| match escape.get(1) {
        Some(digit) if digit.is_ascii_hexdigit() => escape.len().min(3),
        _ => 1,
    })
}

/// `taken` says how much goes with a `%` that begins no escape.
fn without_strays(path: &[u8], taken: impl Fn(&[u8]) -> usize) -> Option<Vec<u8>> {
    let mut kept = Vec::new();
    let mut rest = path;
    while let Some(at) = memchr::memchr(b'%', rest) {
        let (before, escape) = rest.split_at(at);
        kept.extend_from_slice(before);
        let is_escape =
            matches!(escape, [_, high, low, ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit());
        let taken = if is_escape { 0 } else { taken(escape) };
        if is_escape {
            kept.push(b'%');
        }
        rest = &escape[taken.max(1)..];
    }
    kept.extend_from_slice(rest);
    (kept.len() < path.len()).then_some(kept)
}

/// Without tabs and line breaks, which parsers of URLs drop wherever they stand (WHATWG URL, section 4.4).
fn drop_breaks(path: &[u8]) -> Option<Vec<u8>> {
    memchr::memchr3(b'\t', b'\n', b'\r', path)?;
    let is_kept = |byte: &u8| !matches!(byte, b'\t' | b'\n' | b'\r');
    Some(path.iter().copied().filter(is_kept).collect())
}

/// Without what follows a `;` in a segment.
fn drop_parameters(path: &[u8]) -> Option<Vec<u8>> {
    memchr::memchr(b';', path)?;
    Some(map_segments(path, |segment| {
        let end = memchr::memchr(b';', segment).unwrap_or(segment.len());
        &segment[..end]
    }))
}

fn merge_slashes(path: &[u8]) -> Option<Vec<u8>> {
    memchr::memmem::find(path, b"//")?;
    let mut merged = path.to_vec();
    merged.dedup_by(|byte, before| *byte == b'/' && *before == b'/');
    Some(merged)
}

/// A path that begins with `//` is a reference to a host, and a path at that (RFC 3986, section 4.2).
fn drop_authority(path: &[u8]) -> Option<Vec<u8>> {
    path.strip_prefix(b"//").map(after_authority)
}

/// For a browser's parser, and for those that are made after it, further slashes say nothing (WHATWG URL, section 4.4:
/// the state that ignores slashes before a special authority).
fn drop_special_authority(path: &[u8]) -> Option<Vec<u8>> {
    let rest = path.strip_prefix(b"///")?;
    let slashes = rest.iter().take_while(|&&byte| byte == b'/').count();
    Some(after_authority(&rest[slashes..]))
}

fn after_authority(reference: &[u8]) -> Vec<u8> {
    match memchr::memchr3(b'/', b'?', b'#', reference) {
        Some(end) if reference[end] == b'/' => reference[end..].to_vec(),
        // A query or a fragment; without a path that is the root.
        _ => b"/".to_vec(),
    }
}

/// Without a query or a fragment that was encoded.
fn cut(path: &[u8]) -> Option<Vec<u8>> {
    memchr::memchr2(b'?', b'#', path).map(|end| path[..end].to_vec())
}

fn may_be_trimmed(path: &[u8]) -> bool {
    memchr::memchr(b'.', path).is_some() || !path.is_ascii() || path.iter().any(|&byte| is_blank(byte))
}

/// Without the dots and blanks at the end of a segment, as Windows reads names, and patterns the end of a line.
fn trim_ends(path: &[u8]) -> Option<Vec<u8>> {
    trim(path, |segment| {
        segment.trim_end_matches(|letter| letter == '.' || is_any_blank(letter))
    })
}

/// Without the blanks at the beginning of a segment, as `trim` and `strip` leave it.
fn trim_starts(path: &[u8]) -> Option<Vec<u8>> {
    let may_be_blank = |byte: &u8| is_blank(*byte) || !byte.is_ascii();
    memchr::memchr_iter(b'/', path).find(|at| path.get(at + 1).is_some_and(may_be_blank))?;
    trim(path, |segment| segment.trim_start_matches(is_any_blank))
}

/// Trims the segments of a path, as far as they are UTF-8.
fn trim(path: &[u8], trimmed: impl Fn(&str) -> &str) -> Option<Vec<u8>> {
    let shorter = map_segments(path, |segment| {
        std::str::from_utf8(segment).map_or(segment, |text| trimmed(text).as_bytes())
    });
    (shorter.len() < path.len()).then_some(shorter)
}

/// Whether it is a blank or a control of ASCII, or a blank beyond it (Unicode's `White_Space`, and the byte order mark).
fn is_any_blank(letter: char) -> bool {
    letter <= ' ' || letter.is_whitespace() || letter == '\u{feff}'
}

/// Without the name of a file's stream, as NTFS has them: `a::$DATA` is `a`.
fn drop_stream(path: &[u8]) -> Option<Vec<u8>> {
    memchr::memmem::find(path, b"::$")?;
    Some(map_segments(path, |segment| {
        let end = memchr::memmem::find(segment, b"::$").unwrap_or(segment.len());
        &segment[..end]
    }))
}

/// With letters for those that are compatible with them: of full width, ligatures and the like (Unicode, annex 15).
fn replace_compatible(path: &[u8]) -> Option<Vec<u8>> {
    if path.is_ascii() {
        return None;
    }
    let mut replaced = Vec::with_capacity(path.len());
    for chunk in path.utf8_chunks() {
        if is_nfkc_quick(chunk.valid().chars()) == IsNormalized::Yes {
            replaced.extend_from_slice(chunk.valid().as_bytes());
        } else {
            replaced.extend(chunk.valid().nfkc().collect::<String>().into_bytes());
        }
        replaced.extend_from_slice(chunk.invalid());
    }
    (replaced != path).then_some(replaced)
}

fn map_segments(path: &[u8], map: impl Fn(&[u8]) -> &[u8]) -> Vec<u8> {
    let mut mapped = Vec::with_capacity(path.len());
    for (index, segment) in path.split(|&byte| byte == b'/').enumerate() {
        if index > 0 {
            mapped.push(b'/');
        }
        mapped.extend_from_slice(map(segment));
    }
    mapped
}

#[cfg(test)]
mod tests;
