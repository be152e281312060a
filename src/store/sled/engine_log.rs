//! Reads the engine's log on disk without the engine, in the format of sled 0.34.7.
//!
//! The engine silently takes the first unreadable place for the end of its log, or skips the rest of a
//! segment. This module tells how far the log goes and whether all that was written is still sound. Positions
//! count the bytes ever written. The segments that hold them lie in the file in any order; segments that are
//! no longer needed are reused.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

/// The length of a segment in bytes.
const SEGMENT: u64 = 512 << 10;

/// Bytes of a segment's header: checksum (4), position (8), and up to where the log was stable when the
/// segment began (8).
const SEGMENT_HEADER: usize = 20;

/// The longest header of a message in bytes: no message begins this close to the end of a segment.
const MESSAGE_HEADER: usize = 32;

/// Kinds of messages: `CAP` fills the rest of a segment, `BATCH` precedes a batch and says how far that goes,
/// `LAST_KIND` is the highest kind.
const CAP: u8 = 2;
const BATCH: u8 = 3;
const LAST_KIND: u8 = 11;

/// The log file of a store.
#[derive(Debug)]
pub(super) struct EngineLog {
    file: File,
}

/// Where reading a segment ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum LogEnd {
    /// The whole segment was read.
    Whole,
    /// At this offset: what follows cannot be read or is not written yet.
    At(usize),
}

/// The segments that the log has.
struct Segments {
    /// The offset in the file of each segment, by its position.
    offsets: BTreeMap<u64, u64>,
    /// How far the log was stable when the latest of them began.
    stable: u64,
}

struct SegmentHeader {
    position: u64,
    stable: u64,
}

struct LogMessage<'b> {
    kind: u8,
    segment: u64,
    length: usize,
    body: &'b [u8],
}

/// A batch's first position and its last byte. The engine discards a batch whose last byte is missing.
#[derive(Clone, Copy, Debug)]
struct LogBatch {
    start: u64,
    last: u64,
}

impl EngineLog {
    /// Opens the log in the directory; `None` if the file does not exist.
    pub(super) fn open(folder: &Path) -> io::Result<Option<Self>> {
        match File::open(folder.join("db")) {
            Ok(file) => Ok(Some(Self { file })),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Makes all that was read durable (`fdatasync`).
    pub(super) fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    /// Returns how far the log can be read from `position`, where a message begins: without a gap and without
    /// part of a batch.
    pub(super) fn end_from(&self, mut position: u64) -> io::Result<u64> {
        let segments = self.segments()?;
        let mut batch = None;
        loop {
            let base = position / SEGMENT * SEGMENT;
            let Some(offset) = segments.offsets.get(&base) else {
                // Written and reused already, or not written yet.
                match segments.offsets.range(base..).next() {
                    Some((&next, _)) if next <= segments.stable => position = next,
                    _ => break,
                }
                continue;
            };
            let bytes = self.segment(*offset)?;
            let from = usize::try_from(position - base).map_err(io::Error::other)?;
            match read_messages(&bytes, base, from.max(SEGMENT_HEADER), &mut batch) {
                LogEnd::Whole => position = base + SEGMENT,
                LogEnd::At(at) => {
                    position = position.max(base + at as u64);
                    break;
                }
            }
        }
        Ok(match batch {
            Some(batch) if batch.last >= position => batch.start,
            _ => position,
        })
    }

    /// Returns the first damaged position in a range. The engine begins to read at `range.start`; all before
    /// `range.end` was written and synced.
    pub(super) fn damage_in(&self, range: Range<u64>) -> io::Result<Option<u64>> {
        let Some(last) = range.end.checked_sub(1).filter(|_| !range.is_empty()) else {
            return Ok(None);
        };
        let first = range.start / SEGMENT * SEGMENT;
        let segments = self.segments()?;
        let mut damage = self.headless(first..range.end, &segments)?;
        let newest = segments.offsets.keys().next_back().copied().unwrap_or(0);
        for (&base, &offset) in segments.offsets.range(first..range.end) {
            let bytes = self.segment(offset)?;
            if let LogEnd::At(at) = read_messages(&bytes, base, SEGMENT_HEADER, &mut None) {
                let position = base + at as u64;
                if position < range.end && !is_used_again(&bytes, at, base, newest) {
                    damage = Some(damage.map_or(position, |found| found.min(position)));
                    break;
                }
            }
        }
        // The last segment of the range cannot have been reused.
        let last = last / SEGMENT * SEGMENT;
        let goes_as_far = !segments.offsets.is_empty() && newest >= last;
        Ok(damage.or_else(|| (!goes_as_far).then_some(last.max(range.start))))
    }

    /// Returns the first position in the range whose segment has lost its header: the messages in it still
    /// name the segment.
    fn headless(&self, range: Range<u64>, segments: &Segments) -> io::Result<Option<u64>> {
        let mut found = None;
        for offset in self.offsets()? {
            if self.header(offset)?.is_some() {
                continue;
            }
            let bytes = self.segment(offset)?;
            let Some(message) = read_message(&bytes, SEGMENT_HEADER) else {
                continue;
            };
            let base = message.segment.saturating_mul(SEGMENT);
            if range.contains(&base) && !segments.offsets.contains_key(&base) {
                found = Some(found.map_or(base, |found: u64| found.min(base)));
            }
        }
        Ok(found)
    }

    fn segments(&self) -> io::Result<Segments> {
        let mut segments = Segments {
            offsets: BTreeMap::new(),
            stable: 0,
        };
        for offset in self.offsets()? {
            if let Some(header) = self.header(offset)? {
                segments.offsets.insert(header.position, offset);
                segments.stable = segments.stable.max(header.stable);
            }
        }
        Ok(segments)
    }

    fn offsets(&self) -> io::Result<impl Iterator<Item = u64> + use<>> {
        let length = self.file.metadata()?.len();
        Ok((0..length.div_ceil(SEGMENT)).map(|place| place * SEGMENT))
    }

    /// Reads the segment header at an offset; `None` if it is not sound.
    fn header(&self, offset: u64) -> io::Result<Option<SegmentHeader>> {
        let mut header = [0; SEGMENT_HEADER];
        if self.fill(&mut header, offset)? < SEGMENT_HEADER {
            return Ok(None);
        }
        let (checksum, rest) = header.split_at(4);
        if u32_of(checksum) != Some(!crc32fast::hash(rest)) {
            return Ok(None);
        }
        let (position, stable) = rest.split_at(8);
        let position = position_of(position).filter(|position| position.is_multiple_of(SEGMENT));
        Ok(position.map(|position| SegmentHeader {
            position,
            // -1 if nothing was stable.
            stable: position_of(stable).unwrap_or(0),
        }))
    }

    fn segment(&self, offset: u64) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; usize::try_from(SEGMENT).map_err(io::Error::other)?];
        self.fill(&mut bytes, offset)?;
        Ok(bytes)
    }

    /// Reads as many bytes as the file has; the rest of the buffer stays.
    fn fill(&self, bytes: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut filled = 0;
        while let Some(rest) = bytes.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            match self.file.read_at(rest, offset + filled as u64) {
                Ok(0) => break,
                Ok(count) => filled += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(filled)
    }
}

/// Reads the messages of the segment at position `base`, from offset `at`. Leaves the last batch that began
/// in `batch`.
fn read_messages(bytes: &[u8], base: u64, mut at: usize, batch: &mut Option<LogBatch>) -> LogEnd {
    while at + MESSAGE_HEADER <= bytes.len() {
        let Some(message) = read_message(bytes, at).filter(|message| message.segment == base / SEGMENT)
        else {
            return LogEnd::At(at);
        };
        match message.kind {
            CAP => return LogEnd::Whole,
            BATCH => {
                let last = message.body.try_into().ok().map(u64::from_le_bytes);
                let start = base + at as u64;
                *batch = last.map(|last| LogBatch { start, last });
            }
            _ => {}
        }
        at += message.length;
    }
    LogEnd::Whole
}

/// Returns whether a segment that is unreadable from `at` on holds messages of a later one: then it is being
/// reused, and the second half of the new segment reached the disk before the first, which has the header.
fn is_used_again(bytes: &[u8], at: usize, base: u64, newest: u64) -> bool {
    // More segments than the engine may write at once.
    const AHEAD: u64 = 64;
    let later = base / SEGMENT + 1..=newest / SEGMENT + AHEAD;
    (at..bytes.len()).any(|at| read_message_in(bytes, at, |segment| later.contains(&segment)).is_some())
}

/// Reads the message at `at` if its checksum is right: checksum, kind, length, segment, page, body.
fn read_message(bytes: &[u8], at: usize) -> Option<LogMessage<'_>> {
    read_message_in(bytes, at, |_| true)
}

/// As [`read_message`], for a segment number that `is_wanted` accepts.
fn read_message_in(bytes: &[u8], at: usize, is_wanted: impl FnOnce(u64) -> bool) -> Option<LogMessage<'_>> {
    let bytes = bytes.get(at..)?;
    let (checksum, rest) = bytes.split_at_checked(4)?;
    let (&kind, rest) = rest.split_first()?;
    if !(1..=LAST_KIND).contains(&kind) {
        return None;
    }
    let (length, rest) = read_number(rest)?;
    let (segment, rest) = read_number(rest)?;
    if !is_wanted(segment) {
        return None;
    }
    let (_page, rest) = read_number(rest)?;
    let body = rest.get(..usize::try_from(length).ok()?)?;
    let header = bytes.get(4..bytes.len() - rest.len())?;
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(body);
    hasher.update(header);
    (u32_of(checksum)? == !hasher.finalize()).then_some(LogMessage {
        kind,
        segment,
        length: 4 + header.len() + body.len(),
        body,
    })
}

/// Reads sled's variable-length number: the first byte gives the length, one to nine bytes.
fn read_number(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let (&first, rest) = bytes.split_first()?;
    let high = u64::from(first);
    match first {
        0..=240 => Some((high, rest)),
        241..=248 => {
            let (&low, rest) = rest.split_first()?;
            Some((240 + 256 * (high - 241) + u64::from(low), rest))
        }
        249 => {
            let (&[middle, low], rest) = rest.split_first_chunk()?;
            Some((2288 + 256 * u64::from(middle) + u64::from(low), rest))
        }
        250.. => {
            let (digits, rest) = rest.split_at_checked(usize::from(first) - 247)?;
            let mut number = [0; 8];
            number.get_mut(..digits.len())?.copy_from_slice(digits);
            Some((u64::from_le_bytes(number), rest))
        }
    }
}

/// Decodes a position in a segment's header.
fn position_of(bytes: &[u8]) -> Option<u64> {
    let bytes = bytes.try_into().ok()?;
    u64::try_from(i64::from_le_bytes(bytes) ^ i64::MAX).ok()
}

fn u32_of(bytes: &[u8]) -> Option<u32> {
    bytes.try_into().ok().map(u32::from_le_bytes)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    const NODE: u8 = 8;

    const SIZE: usize = 512 << 10;

    fn message(segment: u8, body: &[u8]) -> Vec<u8> {
        let length = u8::try_from(body.len()).unwrap();
        let header = [NODE, length, segment, 7];
        let mut hasher = crc32fast::Hasher::new();
        hasher.update(body);
        hasher.update(&header);
        let checksum = !hasher.finalize();
        [&checksum.to_le_bytes(), header.as_slice(), body].concat()
    }

    /// A segment full of messages; `stable` is how far the log was stable before it.
    fn segment(number: u8, stable: u64) -> Vec<u8> {
        let xored = |position: u64| (i64::try_from(position).unwrap() ^ i64::MAX).to_le_bytes();
        let positions = [xored(u64::from(number) * SEGMENT), xored(stable)].concat();
        let mut bytes = (!crc32fast::hash(&positions)).to_le_bytes().to_vec();
        bytes.extend(positions);
        let message = message(number, &[number; 120]);
        while bytes.len() + MESSAGE_HEADER <= SIZE {
            let room = SIZE - bytes.len();
            if room >= 2 * message.len() {
                bytes.extend(&message);
            } else {
                bytes.extend(self::message(number, &vec![0; room.min(200) - 8]));
            }
        }
        assert!(bytes.len() <= SIZE);
        bytes.resize(SIZE, 0);
        bytes
    }

    fn log(segments: &[Vec<u8>]) -> (tempfile::TempDir, EngineLog) {
        let folder = tempfile::tempdir().unwrap();
        let mut file = File::create(folder.path().join("db")).unwrap();
        for segment in segments {
            file.write_all(segment).unwrap();
        }
        let log = EngineLog::open(folder.path()).unwrap().unwrap();
        (folder, log)
    }

    #[test]
    fn the_end_is_found_though_a_segment_before_it_is_used_again() {
        let mut last = segment(4, 3 * SEGMENT);
        last.truncate(SEGMENT_HEADER + 128);
        let (_folder, log) = log(&[segment(3, 2 * SEGMENT), segment(1, 0), segment(2, SEGMENT), last]);
        let end = 4 * SEGMENT + SEGMENT_HEADER as u64 + 128;
        for from in [0, SEGMENT, 4 * SEGMENT] {
            assert_eq!(log.end_from(from).unwrap(), end, "{from}");
        }
        // A missing segment may not be written yet if no later one says that it was stable.
        let (_folder, log) = self::log(&[segment(1, 0), segment(3, 2 * SEGMENT - 1)]);
        assert_eq!(log.end_from(0).unwrap(), 2 * SEGMENT);
        let (_folder, log) = self::log(&[segment(2, 0), segment(3, SEGMENT)]);
        assert_eq!(log.end_from(0).unwrap(), 0);
    }

    #[test]
    fn a_segment_that_is_about_to_be_used_again_is_not_damaged() {
        let all = 0..4 * SEGMENT;
        let segments = [0, 1, 2, 3].map(|number| segment(number, 0));
        assert_eq!(log(&segments).1.damage_in(all.clone()).unwrap(), None);
        for place in [0, 10, 30, 300_000, 500_000] {
            let mut damaged = segments.clone();
            damaged[1][place] ^= 1;
            let found = log(&damaged).1.damage_in(all.clone()).unwrap().unwrap();
            let most = SEGMENT + place as u64;
            assert!((SEGMENT..=most).contains(&found), "{place}: {found}");
        }
        let mut overwritten = segments.clone();
        overwritten[1][300_000..300_128].copy_from_slice(&message(4, &[9; 120]));
        assert_eq!(log(&overwritten).1.damage_in(all.clone()).unwrap(), None);
        // A message of an earlier segment is no proof of reuse.
        overwritten[2][300_000..300_128].copy_from_slice(&message(1, &[9; 120]));
        assert!(log(&overwritten).1.damage_in(all.clone()).unwrap().is_some());
        assert_eq!(log(&segments[..3]).1.damage_in(all).unwrap(), Some(3 * SEGMENT));
    }
}
