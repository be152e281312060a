//! HTTP/2's answers that no request stands behind. To a head that is too large the library answers by itself; on its
//! way out such an answer gets a name, as those of HTTP/1 do.
//!
//! What leaves is followed frame by frame (RFC 9113, section 4.1). An answer of the library's own is a head of one
//! field alone, its status, and ends the stream. Every other answer has more fields. Trailers may have only one, but
//! on a stream whose answer has begun before.

use std::io::{self, IoSlice};
use std::ops::Range;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::unreadable::{Leaving, Unreadable};

const HEAD: usize = 9;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;

const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

/// A head of one field is no longer than this: a status, after what may be said of the table's size.
const SHORT: usize = 32;

/// Streams whose answer lasts: twice as many as may be open, as one that the client reset may not be told to be over.
const ANSWERING: usize = 256;

/// A connection's stream on which the library's own answers get their name.
#[derive(Debug)]
pub(super) struct Naming<S> {
    stream: S,
    unreadable: Unreadable,
    frames: Frames,
    leaving: Option<Leaving>,
}

/// What the library sends, frame by frame.
#[derive(Debug, Default)]
struct Frames {
    /// Bytes that were looked at and are not sent yet. They are offered again.
    ahead: usize,
    /// An answer without a name among them, the first.
    nameless: Option<Range<usize>>,
    /// Bytes until the next frame's head.
    skip: usize,
    head: [u8; HEAD],
    filled: usize,
    /// Streams whose answer has begun and not ended, the oldest first.
    answering: Vec<u32>,
}

impl<S> Naming<S> {
    pub(super) fn new(stream: S, unreadable: Unreadable) -> Self {
        Self {
            stream,
            unreadable,
            frames: Frames::default(),
            leaving: None,
        }
    }
}

impl<S: AsyncWrite + Unpin> Naming<S> {
    fn poll_send(&mut self, context: &mut Context<'_>, slices: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        self.frames.look(slices);
        let stream = Pin::new(&mut self.stream);
        let polled = match self.frames.nameless.clone() {
            None if let [bytes] = slices => stream.poll_write(context, bytes),
            None => stream.poll_write_vectored(context, slices),
            // What comes before it leaves first.
            Some(answer) if answer.start > 0 => {
                let bytes = slices.iter().find(|bytes| !bytes.is_empty());
                let bytes = bytes.map_or(&[][..], |bytes| bytes);
                stream.poll_write(context, &bytes[..bytes.len().min(answer.start)])
            }
            Some(answer) => {
                let bytes = slices.iter().find_map(|bytes| bytes.get(answer.clone()));
                self.poll_leave(context, bytes.unwrap_or_default())
            }
        };
        if let Poll::Ready(Ok(sent)) = polled {
            self.frames.sent(sent);
        }
        polled
    }

    fn poll_leave(&mut self, context: &mut Context<'_>, answer: &[u8]) -> Poll<io::Result<usize>> {
        let leaving = self
            .leaving
            .get_or_insert_with(|| self.unreadable.name_stream(answer));
        while !leaving.rest().is_empty() {
            let sent = ready!(Pin::new(&mut self.stream).poll_write(context, leaving.rest()))?;
            if sent == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            leaving.sent(sent);
        }
        let stands_for = leaving.stands_for();
        self.leaving = None;
        Poll::Ready(Ok(stands_for))
    }
}

impl Frames {
    /// Looks at what is to be sent, as far as the first answer without a name. What was offered before and not sent
    /// is offered again, with more behind it perhaps.
    fn look(&mut self, slices: &[IoSlice<'_>]) {
        let mut at = 0;
        for slice in slices {
            if self.nameless.is_some() {
                return;
            }
            let seen = self.ahead.saturating_sub(at).min(slice.len());
            self.look_at(&slice[seen..]);
            at += slice.len();
        }
    }

    fn look_at(&mut self, mut bytes: &[u8]) {
        while self.nameless.is_none() {
            let skipped = self.skip.min(bytes.len());
            bytes = &bytes[skipped..];
            self.skip -= skipped;
            self.ahead += skipped;
            if bytes.is_empty() {
                return;
            }
            let taken = (HEAD - self.filled).min(bytes.len());
            self.head[self.filled..][..taken].copy_from_slice(&bytes[..taken]);
            bytes = &bytes[taken..];
            self.filled += taken;
            self.ahead += taken;
            if self.filled == HEAD {
                self.filled = 0;
                self.judge(bytes);
            }
        }
    }

    /// A frame's head is complete; this follows.
    fn judge(&mut self, follows: &[u8]) {
        let [l0, l1, l2, kind, flags, s0, s1, s2, s3] = self.head;
        let length = u32::from_be_bytes([0, l0, l1, l2]);
        let stream = u32::from_be_bytes([s0 & 0x7f, s1, s2, s3]);
        self.skip = usize::try_from(length).unwrap_or(usize::MAX);
        let ends = flags & END_STREAM != 0;
        match kind {
            HEADERS if ends => {
                let was_answered = self.over(stream);
                let is_whole = flags == END_STREAM | END_HEADERS && self.skip <= SHORT;
                if let Some(block) = follows.get(..self.skip)
                    && is_whole
                    && !was_answered
                    && is_one_field(block)
                {
                    let start = self.ahead - HEAD;
                    self.nameless = Some(start..self.ahead + self.skip);
                    self.ahead += self.skip;
                    self.skip = 0;
                }
            }
            HEADERS if !self.answering.contains(&stream) => {
                if self.answering.len() == ANSWERING {
                    self.answering.remove(0);
                }
                self.answering.push(stream);
            }
            DATA if ends => {
                self.over(stream);
            }
            RST_STREAM => {
                self.over(stream);
            }
            _ => {}
        }
    }

    /// An answer ends: whether it had begun before.
    fn over(&mut self, stream: u32) -> bool {
        let at = self.answering.iter().position(|&begun| begun == stream);
        at.map(|at| self.answering.remove(at)).is_some()
    }

    fn sent(&mut self, bytes: usize) {
        self.ahead = self.ahead.saturating_sub(bytes);
        self.nameless = self.nameless.take().and_then(|answer| {
            let start = answer.start.checked_sub(bytes)?;
            Some(start..answer.end - bytes)
        });
    }
}

/// Whether a block has one field (RFC 7541, section 6).
fn is_one_field(mut block: &[u8]) -> bool {
    let mut fields = 0;
    while let Some(&first) = block.first() {
        // How many bits begin its number, and how many texts follow that.
        let (bits, texts) = match first {
            0x80.. => (7, Some(0)),
            0x40.. => (6, Some(1)),
            // A size of the table: no field.
            0x20.. => (5, None),
            _ => (4, Some(1)),
        };
        let Some(number) = take_number(&mut block, bits) else {
            return false;
        };
        if let Some(texts) = texts {
            fields += 1;
            for _ in 0..texts + usize::from(texts == 1 && number == 0) {
                let Some(length) = take_number(&mut block, 7) else {
                    return false;
                };
                let Some(rest) = block.get(length..) else {
                    return false;
                };
                block = rest;
            }
        }
    }
    fields == 1
}

/// A number that begins in the last bits of a byte (RFC 7541, section 5.1). Those here are small.
fn take_number(block: &mut &[u8], bits: u32) -> Option<usize> {
    let (&first, mut rest) = block.split_first()?;
    let most = (1_usize << bits) - 1;
    let mut number = usize::from(first) & most;
    if number == most {
        let mut shift = 0;
        loop {
            let (&next, after) = rest.split_first()?;
            rest = after;
            number += usize::from(next & 0x7f) << shift;
            shift += 7;
            if next < 0x80 {
                break;
            }
            if shift > 14 {
                return None;
            }
        }
    }
    *block = rest;
    Some(number)
}

impl<S: AsyncRead + Unpin> AsyncRead for Naming<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Naming<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_send(context, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.poll_send(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: u8, flags: u8, stream: u32, block: &[u8]) -> Vec<u8> {
        let length = u32::try_from(block.len()).unwrap().to_be_bytes();
        let head = [&length[1..], &[kind, flags], &stream.to_be_bytes()].concat();
        [&head, block].concat()
    }

    /// What is found in these bytes, offered in pieces of this size, of which each is sent at once.
    fn find(bytes: &[u8], piece: usize) -> Vec<Range<usize>> {
        let (mut frames, mut found, mut sent) = (Frames::default(), Vec::new(), 0);
        while sent < bytes.len() {
            // The library offers at least whole heads; how much of it is taken is another matter.
            frames.look(&[IoSlice::new(&bytes[sent..])]);
            let taken = match frames.nameless.clone() {
                Some(answer) if answer.start == 0 => {
                    found.push(sent..sent + answer.end);
                    answer.end
                }
                Some(answer) => answer.start.min(piece),
                None => piece.min(bytes.len() - sent),
            };
            frames.sent(taken);
            sent += taken;
        }
        found
    }

    const ALONE: u8 = END_STREAM | END_HEADERS;

    #[test]
    fn an_answer_of_one_field_has_no_name() {
        let named = frame(HEADERS, ALONE, 1, &[0x89, 0xbe, 0xbf]);
        let body = frame(HEADERS, END_HEADERS, 3, &[0x88, 0xbe, 0xbf]);
        let data = frame(DATA, END_STREAM, 3, &[0; 100]);
        let nameless = frame(HEADERS, ALONE, 5, &[0x48, 0x03, b'4', b'3', b'1']);
        let again = frame(HEADERS, ALONE, 7, &[0x3f, 0xe1, 0x1f, 0xff, 0x05]);
        let bytes = [named.clone(), body, data, nameless, named, again].concat();
        for piece in 1..200 {
            let found = find(&bytes, piece);
            let kinds: Vec<u8> = found.iter().map(|range| bytes[range.start + 8]).collect();
            assert_eq!(kinds, [5, 7], "{piece}: {found:?}");
        }
    }

    #[test]
    fn trailers_are_none_however_short() {
        let begun = frame(HEADERS, END_HEADERS, 1, &[0x88, 0xbe, 0xbf]);
        let data = frame(DATA, 0, 1, b"hello");
        let trailers = frame(HEADERS, ALONE, 1, &[0xbe]);
        assert!(find(&[begun, data, trailers].concat(), 7).is_empty());
    }

    #[test]
    fn what_is_remembered_has_an_end() {
        let mut frames = Frames::default();
        for stream in 0..1000 {
            let begun = frame(HEADERS, END_HEADERS, 2 * stream + 1, &[0x88]);
            frames.look(&[IoSlice::new(&begun)]);
            frames.sent(begun.len());
        }
        assert_eq!(frames.answering.len(), ANSWERING);
        assert!(frames.over(1999) && !frames.over(1));
    }

    #[test]
    fn fields_are_counted() {
        for (block, is_one) in [
            (&[0x88][..], true),
            (&[0x48, 0x03, b'4', b'3', b'1'], true),
            (&[0x00, 0x01, b'a', 0x01, b'b'], true),
            (&[0x40, 0x01, b'a', 0x01, b'b'], true),
            (&[0x20, 0x3f, 0xe1, 0x1f, 0xbe], true),
            (&[0x88, 0x88], false),
            (&[0x20], false),
            (&[], false),
            (&[0x48, 0x03, b'4'], false),
            (&[0xff], false),
            (&[0xff, 0xff, 0xff, 0xff, 0x01], false),
        ] {
            assert_eq!(is_one_field(block), is_one, "{block:?}");
        }
    }
}
