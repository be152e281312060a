//! Computes the readings of a path: every path for which some server could take it.
//!
//! Servers decode, drop parameters, merge slashes and so on, in different orders, and some steps more than
//! once. So every step is applied to the path and to each result, until nothing new appears: the set of
//! readings is closed under the steps in any combination and order. Letter case is not a step: [`fold`] is
//! used in comparisons, since a server that ignores case in a path ignores it on both sides.
//!
//! Pure functions; linear in the length of the path, because readings are bounded.

mod virtual_host;

use std::borrow::Cow;

use any_ascii::any_ascii_char;
use percent_encoding::{AsciiSet, CONTROLS, percent_decode, utf8_percent_encode};
use unicode_normalization::char::{decompose_compatible, is_combining_mark};
use unicode_normalization::{IsNormalized, UnicodeNormalization, is_nfkc_quick};

use super::path::{BadPath, require_escapes, require_harmless, strays};
use crate::request::Host;
use virtual_host::{
    drop_virtual_host, drop_virtual_host_base, drop_virtual_host_names, names_other_host, names_virtual_host,
};

/// Most layers of percent-encoding. Servers decode once, those behind a proxy of their own twice.
const DEPTH: usize = 3;

/// Most readings of a path. A path that uses every step has some dozens.
pub const MOST: usize = 128;

/// Bytes by which a reading may exceed twice the path: compatibility decomposition and transliteration make it longer.
const GROWTH: usize = 1 << 10;

/// Bytes that all readings may have together, beyond the path's own.
const ROOM: usize = 64 << 10;

/// Characters of a session id of ASP.NET's first version.
const OLD_SESSION: usize = 24;

/// Most bytes of a path in another encoding than UTF-8.
const MOST_OTHERWISE: usize = 8 << 10;

/// Something that servers do to a path. `None` if it changes nothing.
type Rewrite = fn(&[u8]) -> Option<Vec<u8>>;

const STEPS: [Rewrite; 16] = [
    decode,
    decode_plus,
    drop_parameters,
    merge_slashes,
    drop_authority,
    drop_special_authority,
    cut,
    cut_argument,
    drop_stream,
    drop_session,
    drop_session_segment,
    drop_session_behind_slash,
    drop_virtual_host_base,
    drop_virtual_host,
    drop_virtual_host_names,
    drop_unprintable,
];

/// Steps that only change paths with bytes beyond ASCII.
const BEYOND_ASCII: [Rewrite; 7] = [
    decode_latin_1,
    decode_twice,
    drop_invalid,
    drop_ignorable,
    replace_compatible,
    drop_marks,
    transliterate,
];

/// Steps that only change paths with dots, spaces or non-ASCII characters.
const TRIMS: [Rewrite; 2] = [trim_ends, trim_starts];

/// Steps that only change paths with a `%` that begins no escape.
const STRAYS: [Rewrite; 3] = [drop_percent, drop_escape, end_at_percent];

/// The readings of a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Readings {
    /// The path alone, without capitals: case does not matter either.
    Ordinary,
    /// The path itself first.
    Several(Vec<Reading>),
}

/// A reading of a path, folded once for all comparisons.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Reading {
    text: String,
    /// `None` if folding changes nothing.
    folded: Option<String>,
}

impl Readings {
    /// Computes the readings of a path as it was sent. Allocates nothing for an ordinary path.
    pub(super) fn of(path: &str) -> Result<Self, BadPath> {
        let readings = Self::within(path, usize::MAX)?;
        if readings != Self::Ordinary {
            require_escapes(path.as_bytes())?;
        }
        Ok(readings)
    }

    /// Computes the readings of a path that was not sent as a target, in which a `%` may stand alone; refuses it
    /// if they have more than `most_bytes` together.
    pub(super) fn within(path: &str, most_bytes: usize) -> Result<Self, BadPath> {
        let bytes = path.as_bytes();
        if bytes.first() != Some(&b'/') {
            return Err(BadPath::NotAPath);
        }
        if bytes.len() > most_bytes {
            return Err(BadPath::TooAmbiguous);
        }
        if is_ordinary(bytes) {
            return Ok(Self::Ordinary);
        }
        if bytes.contains(&b'#') {
            return Err(BadPath::Fragment);
        }
        require_harmless(bytes)?;
        let readings = close(bytes.to_vec(), most_bytes)?.into_iter();
        Ok(Self::Several(readings.map(into_text).map(Reading::new).collect()))
    }

    /// Returns each reading as it is and folded; `path` is the one that they are of.
    pub(super) fn each<'r>(&'r self, path: &'r str) -> impl Iterator<Item = (&'r str, &'r str)> {
        let (own, several) = match self {
            Self::Ordinary => (Some((path, path)), &[][..]),
            Self::Several(readings) => (None, readings.as_slice()),
        };
        own.into_iter().chain(several.iter().map(Reading::forms))
    }

    /// Whether one of them names a virtual host other than `own`, or any if that is `None`.
    pub(super) fn name_other_host(&self, own: Option<&Host>) -> bool {
        match self {
            Self::Ordinary => false,
            Self::Several(readings) => readings
                .iter()
                .any(|reading| names_other_host(&reading.text, own)),
        }
    }

    /// Returns the readings besides the path itself.
    pub(super) fn others(&self) -> impl Iterator<Item = &str> {
        let several = match self {
            Self::Ordinary => &[],
            Self::Several(readings) => readings.as_slice(),
        };
        several.iter().skip(1).map(|reading| reading.text.as_str())
    }
}

impl Reading {
    fn new(text: String) -> Self {
        let folded = match fold(&text) {
            Cow::Borrowed(_) => None,
            Cow::Owned(folded) => Some(folded),
        };
        Self { text, folded }
    }

    fn forms(&self) -> (&str, &str) {
        (&self.text, self.folded.as_deref().unwrap_or(&self.text))
    }
}

/// Characters that a reading may contain but a request target may not.
const NOT_SENT: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'<')
    .add(b'>')
    .add(b'?')
    .add(b'`');

/// Returns a reading encoded so that it could be sent.
pub(super) fn encode(reading: &str) -> String {
    utf8_percent_encode(reading, NOT_SENT).to_string()
}

/// Folds case for comparison, as case-insensitive applications and file systems do.
pub(super) fn fold(path: &str) -> Cow<'_, str> {
    if !path.is_ascii() {
        let mut folded = String::with_capacity(path.len());
        for letter in path.chars() {
            if letter.is_ascii() {
                folded.push(letter.to_ascii_lowercase());
            } else {
                fold_letter(letter, &mut folded);
            }
        }
        return folded.into();
    }
    if path.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return path.to_ascii_lowercase().into();
    }
    path.into()
}

fn fold_letter(letter: char, folded: &mut String) {
    if !letter.is_alphabetic() {
        folded.push(letter);
        return;
    }
    // To upper case and back: some letters map in one direction only, such as the capital of `ß`.
    for large in letter.to_lowercase().flat_map(char::to_uppercase) {
        for small in large.to_lowercase() {
            // The combining dot that lower-casing a dotted capital I leaves.
            if small != '\u{307}' {
                folded.push(small);
            }
        }
    }
}

/// Whether no step changes the path, nor does folding; true for nearly all paths.
fn is_ordinary(path: &[u8]) -> bool {
    let mut last = 0;
    for (at, &byte) in path.iter().enumerate() {
        let is_plain = matches!(byte, b'!'..=b'~')
            && !matches!(
                byte,
                b'A'..=b'Z' | b'%' | b'&' | b'+' | b':' | b';' | b'\\' | b'#' | b'?'
            );
        let ends_oddly = match byte {
            b'/' => matches!(last, b'/' | b'.'),
            b')' => last == b')' || ends_old_session(&path[..at]),
            b'_' => names_virtual_host(&path[..at], &path[at..]),
            _ => false,
        };
        if !is_plain || ends_oddly {
            return false;
        }
        last = byte;
    }
    last != b'.'
}

/// Returns the closure of a path under all steps, each reading once, the path first.
fn close(path: Vec<u8>, most_bytes: usize) -> Result<Vec<Vec<u8>>, BadPath> {
    let longest = GROWTH + 2 * path.len();
    let most_bytes = most_bytes.min(ROOM + path.len());
    let mut bytes = path.len();
    require_shallow(&path)?;
    let mut readings = vec![path];
    let mut next = 0;
    while let Some(reading) = readings.get(next).cloned() {
        for step in steps_for(&reading) {
            let Some(found) = step(&reading).filter(|found| !readings.contains(found)) else {
                continue;
            };
            require_harmless(&found)?;
            bytes += found.len();
            let is_too_long =
                found.len() > longest || found.len() > MOST_OTHERWISE && std::str::from_utf8(&found).is_err();
            if readings.len() == MOST || is_too_long || bytes > most_bytes {
                return Err(BadPath::TooAmbiguous);
            }
            readings.push(found);
        }
        next += 1;
    }
    Ok(readings)
}

/// Returns the steps that may change a path.
fn steps_for(path: &[u8]) -> impl Iterator<Item = &'static Rewrite> {
    let beyond_ascii = Some(&BEYOND_ASCII).filter(|_| !path.is_ascii());
    let trims =
        Some(&TRIMS).filter(|_| beyond_ascii.is_some() || memchr::memchr2(b'.', b' ', path).is_some());
    let strays = Some(&STRAYS).filter(|_| first_stray(path).is_some());
    let others = [
        beyond_ascii.map(|steps| &steps[..]),
        strays.map(|steps| &steps[..]),
        trims.map(|steps| &steps[..]),
    ];
    STEPS.iter().chain(others.into_iter().flatten().flatten())
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

/// Replaces invalid UTF-8: no route's path has any.
fn into_text(reading: Vec<u8>) -> String {
    String::from_utf8(reading).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}

fn decode(path: &[u8]) -> Option<Vec<u8>> {
    match percent_decode(path).into() {
        Cow::Owned(decoded) => Some(decoded),
        Cow::Borrowed(_) => None,
    }
}

/// Turns `+` into a space, as form decoders do (WHATWG URL, section 5.1); many applications decode paths with
/// one: PHP's `urldecode`, Python's `unquote_plus`, Java's `URLDecoder`.
fn decode_plus(path: &[u8]) -> Option<Vec<u8>> {
    memchr::memchr(b'+', path)?;
    let decoded = path.iter().map(|&byte| if byte == b'+' { b' ' } else { byte });
    Some(decoded.collect())
}

/// Reads a path that is not UTF-8 as Latin-1.
fn decode_latin_1(path: &[u8]) -> Option<Vec<u8>> {
    std::str::from_utf8(path).err()?;
    let letters: String = path.iter().copied().map(char::from).collect();
    Some(letters.into_bytes())
}

/// Reads a path as UTF-8 whose letters, as Latin-1, are UTF-8 again.
fn decode_twice(path: &[u8]) -> Option<Vec<u8>> {
    let letters = std::str::from_utf8(path).ok()?.chars();
    let bytes: Vec<u8> = letters
        .map(|letter| u8::try_from(letter).ok())
        .collect::<Option<_>>()?;
    std::str::from_utf8(&bytes).is_ok().then_some(bytes)
}

/// Drops invalid UTF-8, as decoders do that ignore errors.
fn drop_invalid(path: &[u8]) -> Option<Vec<u8>> {
    std::str::from_utf8(path).err()?;
    let valid: String = path.utf8_chunks().map(|chunk| chunk.valid()).collect();
    Some(valid.into_bytes())
}

/// Drops invisible characters, as identifier comparison does (assigned characters with Unicode's
/// `Default_Ignorable_Code_Point`).
fn drop_ignorable(path: &[u8]) -> Option<Vec<u8>> {
    let text = std::str::from_utf8(path).ok()?;
    text.chars().find(|&letter| is_ignorable(letter))?;
    let seen: String = text.chars().filter(|&letter| !is_ignorable(letter)).collect();
    Some(seen.into_bytes())
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

/// Ends the path at a `%` that begins no escape, as decoders do that read it as NUL (uWSGI).
fn end_at_percent(path: &[u8]) -> Option<Vec<u8>> {
    first_stray(path).map(|at| path[..at].to_vec())
}

/// Returns where the first `%` is that begins no escape.
fn first_stray(path: &[u8]) -> Option<usize> {
    strays(path).next()
}

/// Drops a `%` that begins no escape, as lenient decoders do.
fn drop_percent(path: &[u8]) -> Option<Vec<u8>> {
    without_strays(path, |_| 1)
}

/// The same as nginx's decoder does it: if one hexadecimal digit follows, drops this and the next byte too.
fn drop_escape(path: &[u8]) -> Option<Vec<u8>> {
    without_strays(path, |escape| match escape.get(1) {
        Some(digit) if digit.is_ascii_hexdigit() => escape.len().min(3),
        _ => 1,
    })
}

/// Drops stray `%`; `taken` returns how many bytes go with one.
fn without_strays(path: &[u8], taken: impl Fn(&[u8]) -> usize) -> Option<Vec<u8>> {
    let mut kept = Vec::with_capacity(path.len());
    let mut end = 0;
    for at in strays(path) {
        // Another one took it along.
        if at < end {
            continue;
        }
        kept.extend_from_slice(&path[end..at]);
        end = at + taken(&path[at..]);
    }
    kept.extend_from_slice(&path[end..]);
    (kept.len() < path.len()).then_some(kept)
}

/// Drops the parameters of each segment, from `;` on.
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

/// Drops the authority of a path that begins with `//`, a network-path reference (RFC 3986, section 4.2).
fn drop_authority(path: &[u8]) -> Option<Vec<u8>> {
    path.strip_prefix(b"//").map(after_authority)
}

/// The same for parsers like browsers', which skip further slashes (WHATWG URL, section 4.4, special
/// authority ignore slashes state).
fn drop_special_authority(path: &[u8]) -> Option<Vec<u8>> {
    let rest = path.strip_prefix(b"///")?;
    let slashes = rest.iter().take_while(|&&byte| byte == b'/').count();
    Some(after_authority(&rest[slashes..]))
}

fn after_authority(reference: &[u8]) -> Vec<u8> {
    match memchr::memchr3(b'/', b'?', b'#', reference) {
        Some(end) if reference[end] == b'/' => reference[end..].to_vec(),
        // A query or fragment follows; the path is then the root.
        _ => b"/".to_vec(),
    }
}

/// Drops what follows `&`, as front controllers do that get the path as an argument of a query
/// (`try_files $uri /front?q=$uri`).
fn cut_argument(path: &[u8]) -> Option<Vec<u8>> {
    memchr::memchr(b'&', path).map(|end| path[..end].to_vec())
}

/// Drops a decoded query or fragment.
fn cut(path: &[u8]) -> Option<Vec<u8>> {
    memchr::memchr2(b'?', b'#', path).map(|end| path[..end].to_vec())
}

/// Drops dots and blanks at the end of each segment, as Windows does with names.
fn trim_ends(path: &[u8]) -> Option<Vec<u8>> {
    trim(path, |segment| {
        segment.trim_end_matches(|letter| letter == '.' || is_any_blank(letter))
    })
}

/// Drops blanks at the beginning of each segment, as `trim` and `strip` do.
fn trim_starts(path: &[u8]) -> Option<Vec<u8>> {
    let may_be_blank = |byte: &u8| *byte == b' ' || !byte.is_ascii();
    memchr::memchr_iter(b'/', path).find(|at| path.get(at + 1).is_some_and(may_be_blank))?;
    trim(path, |segment| segment.trim_start_matches(is_any_blank))
}

/// Trims the segments of a path that are UTF-8.
fn trim(path: &[u8], trimmed: impl Fn(&str) -> &str) -> Option<Vec<u8>> {
    let shorter = map_segments(path, |segment| {
        std::str::from_utf8(segment).map_or(segment, |text| trimmed(text).as_bytes())
    });
    (shorter.len() < path.len()).then_some(shorter)
}

/// Whether a character is of Unicode's `White_Space`, or the byte order mark.
fn is_any_blank(letter: char) -> bool {
    letter.is_whitespace() || letter == '\u{feff}'
}

/// Drops the name and type of an NTFS stream: `a::$DATA` and `a:$I30:$INDEX_ALLOCATION` are `a`.
fn drop_stream(path: &[u8]) -> Option<Vec<u8>> {
    memchr::memchr(b':', path)?;
    Some(map_segments(path, |segment| {
        let end = memchr::memchr(b':', segment).unwrap_or(segment.len());
        &segment[..end]
    }))
}

/// Drops what ASP.NET takes for a session without cookies, wherever it stands: `(S(x))`, `(A(x)F(y))`, and the
/// 24 characters in brackets of its first version.
fn drop_session(path: &[u8]) -> Option<Vec<u8>> {
    let (before, after) = around_session(path)?;
    Some([before, after].concat())
}

/// The same with the slash that follows, as for a segment of its own.
fn drop_session_segment(path: &[u8]) -> Option<Vec<u8>> {
    let (before, after) = around_session(path)?;
    Some([before, after.strip_prefix(b"/")?].concat())
}

/// The same with the slash before it.
fn drop_session_behind_slash(path: &[u8]) -> Option<Vec<u8>> {
    let (before, after) = around_session(path)?;
    Some([before.strip_suffix(b"/")?, after].concat())
}

/// Returns what stands before and after the first session in a path.
fn around_session(path: &[u8]) -> Option<(&[u8], &[u8])> {
    let nested = nested_session(path);
    let old = memchr::memchr_iter(b')', path).find(|&end| ends_old_session(&path[..end]));
    let old = old.map(|end| (end - OLD_SESSION - 1, end + 1));
    let (start, end) = nested.into_iter().chain(old).min()?;
    Some((&path[..start], &path[end..]))
}

fn nested_session(path: &[u8]) -> Option<(usize, usize)> {
    memchr::memmem::find(path, b"))")?;
    let begins = |at: usize| matches!(path[at..], [b'(', letter, b'(', ..] if letter.is_ascii_alphabetic());
    let start = memchr::memchr_iter(b'(', path).find(|&at| begins(at))?;
    let end = start + memchr::memmem::find(&path[start..], b"))")?;
    Some((start, end + 2))
}

/// Whether what stands before a closing bracket is a session of ASP.NET's first version and its opening one.
fn ends_old_session(before: &[u8]) -> bool {
    matches!(before.last_chunk::<{ OLD_SESSION + 1 }>(), Some([b'(', id @ ..]) if id.iter().all(u8::is_ascii_alphanumeric))
}

/// Applies compatibility composition (NFKC): full-width letters, ligatures and the like (Unicode, annex 15).
fn replace_compatible(path: &[u8]) -> Option<Vec<u8>> {
    let mut replaced = Vec::with_capacity(path.len());
    for chunk in path.utf8_chunks() {
        let others = chunk.valid().chars().filter(|&letter| !is_never_composed(letter));
        if is_nfkc_quick(others) == IsNormalized::Yes {
            replaced.extend_from_slice(chunk.valid().as_bytes());
        } else {
            replaced.extend(chunk.valid().nfkc().collect::<String>().into_bytes());
        }
        replaced.extend_from_slice(chunk.invalid());
    }
    (replaced != path).then_some(replaced)
}

/// Whether a character is its own compatibility composition, and no mark: ASCII, and most of Latin-1.
fn is_never_composed(letter: char) -> bool {
    matches!(letter, '\0'..='\u{9f}' | '\u{c0}'..='\u{ff}')
}

/// Drops accents and other marks, as converters to ASCII do. Hangul has none.
fn drop_marks(path: &[u8]) -> Option<Vec<u8>> {
    let text = std::str::from_utf8(path).ok()?;
    let mut bare = String::with_capacity(text.len());
    for letter in text.chars() {
        if let Some(plain) = without_stroke(letter) {
            bare.push_str(plain);
        // Nothing below U+00A0 has a decomposition.
        } else if letter < '\u{a0}' || matches!(letter, '\u{1100}'..='\u{11ff}' | '\u{ac00}'..='\u{d7a3}') {
            bare.push(letter);
        } else {
            decompose_compatible(letter, |part| {
                if !is_combining_mark(part) {
                    bare.push(part);
                }
            });
        }
    }
    (bare != text).then(|| bare.into_bytes())
}

/// Returns what converters to ASCII write for Latin letters that have no decomposition.
fn without_stroke(letter: char) -> Option<&'static str> {
    Some(match letter {
        'Æ' | 'æ' => "ae",
        'Đ' | 'đ' | 'Ð' | 'ð' => "d",
        'Ħ' | 'ħ' => "h",
        'ı' => "i",
        'ĸ' => "q",
        'Ł' | 'ł' => "l",
        'Ŋ' | 'ŋ' => "n",
        'Œ' | 'œ' => "oe",
        'Ø' | 'ø' => "o",
        'ß' | 'ẞ' => "ss",
        'Þ' | 'þ' => "th",
        'Ŧ' | 'ŧ' => "t",
        _ => return None,
    })
}

/// Writes letters and slashes in ASCII, as converters do that look for characters like them: `ɗ` is `d` to them, and the
/// fraction slash a slash. Their tables differ little from this one. Other signs stay, of which many would be a backslash
/// or a dot.
fn transliterate(path: &[u8]) -> Option<Vec<u8>> {
    let mut written = Vec::with_capacity(path.len());
    for chunk in path.utf8_chunks() {
        for letter in chunk.valid().chars() {
            let ascii = any_ascii_char(letter);
            if ascii
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'/')
            {
                written.extend_from_slice(ascii.as_bytes());
            } else {
                written.extend_from_slice(letter.encode_utf8(&mut [0; 4]).as_bytes());
            }
        }
        written.extend_from_slice(chunk.invalid());
    }
    (written != path).then_some(written)
}

/// Drops blanks and whatever is not ASCII from segments that have an ASCII letter or digit, as sanitisers of URLs do
/// (PHP's `FILTER_SANITIZE_URL`), and encoders that ignore errors. Of other segments dots may be left, which names in
/// other scripts have.
fn drop_unprintable(path: &[u8]) -> Option<Vec<u8>> {
    let is_kept = |byte: &u8| matches!(byte, b'!'..=b'~');
    if path.iter().all(is_kept) {
        return None;
    }
    let mut kept = Vec::with_capacity(path.len());
    for (index, segment) in path.split(|&byte| byte == b'/').enumerate() {
        if index > 0 {
            kept.push(b'/');
        }
        if segment.iter().any(u8::is_ascii_alphanumeric) {
            kept.extend(segment.iter().filter(|byte| is_kept(byte)));
        } else {
            kept.extend_from_slice(segment);
        }
    }
    (kept.len() < path.len()).then_some(kept)
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
