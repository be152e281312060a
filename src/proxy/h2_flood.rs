//! Limits HTTP/2 frames that cost a client nothing, such as PING, SETTINGS and streams reset at once (RFC
//! 9113, section 10.5).
//!
//! The protocol sets no limit, and hyper bounds the state that such frames leave, not their rate.

use std::time::Duration;

use tokio::time::Instant;

/// Length of the client connection preface (RFC 9113, section 3.4).
const PREFACE: usize = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".len();
const HEAD: usize = 9;

/// Useless frames allowed in a burst; far above what browsers cancel when leaving a page.
const BURST: u64 = 1000;
/// Useless frames forgiven per second.
const RATE: u64 = 100;

/// A `WINDOW_UPDATE` is useful once for every so many bytes sent to the client, and twice for every stream
/// that it opened: clients widen the windows of new streams, and later report in far larger steps.
const BYTES_AN_UPDATE: u64 = 1 << 10;
const UPDATES_A_STREAM: u64 = 2;

/// Streams of a connection that may never become requests: too large, malformed, or reset early. Above the
/// limit of concurrent streams, since open streams may not be requests yet.
const FRUITLESS: usize = 512;

/// How many clients share a connection of a trusted proxy, which has their allowances together.
const CLIENTS_OF_A_PROXY: usize = 50;

/// Parses the frame heads that a client sends, and counts useless frames.
#[derive(Debug)]
pub(super) struct FrameLimiter {
    /// Bytes until the next frame head.
    skip: usize,
    head: [u8; HEAD],
    filled: usize,
    /// Whether a header block has begun, and whether the current frame ends it.
    in_head: bool,
    ends_head: bool,
    /// The highest stream id, and the number of streams.
    newest: u32,
    opened: usize,
    /// `WINDOW_UPDATE` frames that counted as useful.
    updates: u64,
    /// Useless frames, less those that time has forgiven.
    useless: u64,
    /// Fruitless streams that time has forgiven: one per client and second.
    forgiven: usize,
    since: Instant,
    /// The clients whose allowances the connection has.
    clients: usize,
}

/// The client exceeded a limit of useless frames or fruitless streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a flood of frames without use")]
pub(super) struct FloodError;

impl FrameLimiter {
    pub(super) fn new(is_of_proxy: bool) -> Self {
        Self {
            skip: PREFACE,
            head: [0; HEAD],
            filled: 0,
            // The preface is one too: half of it would hold the connection for as long as the client likes.
            in_head: true,
            ends_head: true,
            newest: 0,
            opened: 0,
            updates: 0,
            useless: 0,
            forgiven: 0,
            since: Instant::now(),
            clients: if is_of_proxy { CLIENTS_OF_A_PROXY } else { 1 },
        }
    }

    /// Parses received bytes. `begun` is the number of requests of this connection so far, `sent` the number
    /// of bytes sent to the client.
    pub(super) fn look(&mut self, mut bytes: &[u8], begun: usize, sent: u64) -> Result<(), FloodError> {
        loop {
            let skipped = self.skip.min(bytes.len());
            bytes = &bytes[skipped..];
            self.skip -= skipped;
            if self.skip == 0 && self.ends_head {
                (self.in_head, self.ends_head) = (false, false);
            }
            if bytes.is_empty() {
                break;
            }
            let taken = (HEAD - self.filled).min(bytes.len());
            self.head[self.filled..][..taken].copy_from_slice(&bytes[..taken]);
            bytes = &bytes[taken..];
            self.filled += taken;
            if self.filled == HEAD {
                self.filled = 0;
                self.count(sent);
            }
        }
        let fruitless = self.opened.saturating_sub(begun);
        if self.exceeds(fruitless) {
            self.forgive(fruitless);
            if self.exceeds(fruitless) {
                return Err(FloodError);
            }
        }
        Ok(())
    }

    /// Whether a header block or trailer section is incomplete.
    pub(super) fn is_in_head(&self) -> bool {
        self.in_head
    }

    fn count(&mut self, sent: u64) {
        let [l0, l1, l2, kind, flags, s0, s1, s2, s3] = self.head;
        let length = u32::from_be_bytes([0, l0, l1, l2]);
        self.skip = usize::try_from(length).unwrap_or(usize::MAX);
        // HEADERS and CONTINUATION; 4 is END_HEADERS.
        if matches!(kind, 1 | 9) {
            self.in_head = true;
            self.ends_head = flags & 4 != 0;
        }
        let is_useful = match kind {
            // DATA with content, or with END_STREAM.
            0 => length > 0 || flags & 1 != 0,
            // HEADERS of a new stream, or trailers.
            1 => {
                let stream = u32::from_be_bytes([s0 & 0x7f, s1, s2, s3]);
                if stream > self.newest {
                    self.newest = stream;
                    self.opened += 1;
                }
                true
            }
            // WINDOW_UPDATE, within what the sent bytes and streams account for.
            8 => {
                let is_due = self.updates < self.updates_due(sent);
                self.updates += u64::from(is_due);
                is_due
            }
            // CONTINUATION with content; hyper limits their number.
            9 => length > 0,
            // PRIORITY, RST_STREAM, SETTINGS, PING, GOAWAY and unknown types.
            _ => false,
        };
        self.useless += u64::from(!is_useful);
    }

    fn updates_due(&self, sent: u64) -> u64 {
        (self.opened as u64)
            .saturating_mul(UPDATES_A_STREAM)
            .saturating_add(sent / BYTES_AN_UPDATE)
    }

    fn exceeds(&self, fruitless: usize) -> bool {
        self.useless > BURST * self.clients as u64
            || fruitless.saturating_sub(self.forgiven) > FRUITLESS * self.clients
    }

    /// Forgives what the time since the last call allows for.
    fn forgive(&mut self, fruitless: usize) {
        let seconds = self.since.elapsed().as_secs();
        self.since += Duration::from_secs(seconds);
        let shares = seconds.saturating_mul(self.clients as u64);
        self.useless = self.useless.saturating_sub(shares.saturating_mul(RATE));
        let forgiven = self
            .forgiven
            .saturating_add(usize::try_from(shares).unwrap_or(usize::MAX));
        self.forgiven = forgiven.min(fruitless);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PING: u8 = 6;

    fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
        let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
        let head = [&length[1..], &[kind, flags], &stream.to_be_bytes()].concat();
        [&head, payload].concat()
    }

    fn begun() -> FrameLimiter {
        let mut frames = FrameLimiter::new(false);
        assert_eq!(frames.look(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 0, 0), Ok(()));
        frames
    }

    /// Returns how many of these pass.
    fn pass(frames: &mut FrameLimiter, bytes: &[u8], begun: usize) -> usize {
        (0..10_000)
            .position(|_| frames.look(bytes, begun, 0).is_err())
            .unwrap_or(10_000)
    }

    #[tokio::test(start_paused = true)]
    async fn frames_without_use_have_an_allowance_that_time_restores() {
        for (kind, length) in [(0, 0), (2, 5), (3, 4), (4, 0), (PING, 8), (8, 4), (9, 0), (77, 3)] {
            let mut frames = begun();
            let useless = frame(kind, 0, 1, &[0; 8][..length]);
            assert_eq!(pass(&mut frames, &useless, 0), 1000, "{kind}");
            tokio::time::advance(Duration::from_secs(2)).await;
            assert_eq!(pass(&mut frames, &useless, 0), 199, "{kind}");
            // By then all earlier ones are forgiven.
            tokio::time::advance(Duration::from_hours(1)).await;
            assert_eq!(pass(&mut frames, &useless, 0), 1001, "{kind}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn frames_of_use_have_none() {
        for (kind, flags, length) in [(0, 0, 1), (0, 1, 0), (1, 4, 5), (9, 4, 5)] {
            let useful = frame(kind, flags, 1, &[0; 8][..length]);
            assert_eq!(pass(&mut begun(), &useful, 0), 10_000, "{kind}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_head_lasts_until_the_end_of_its_last_frame() {
        let mut frames = begun();
        let mut is_in_head = |bytes: &[u8]| {
            frames.look(bytes, 1, 0).unwrap();
            frames.is_in_head()
        };
        let whole = frame(1, 4, 1, b"head");
        assert!(!is_in_head(&whole));
        assert!(is_in_head(&whole[..12]));
        assert!(!is_in_head(&whole[12..]));
        assert!(is_in_head(&frame(1, 1, 3, b"he")));
        assert!(is_in_head(&frame(9, 0, 3, b"a")));
        assert!(!is_in_head(&frame(9, 4, 3, b"")));
        assert!(!is_in_head(&frame(0, 0, 1, b"body")));
    }

    #[tokio::test(start_paused = true)]
    async fn streams_must_become_requests() {
        let open = |n: usize| frame(1, 5, u32::try_from(2 * n + 1).unwrap(), b"head");
        let mut frames = begun();
        for n in 0..10_000 {
            assert_eq!(frames.look(&open(n), n, 0), Ok(()));
        }
        let passed = (10_000..20_000).position(|n| frames.look(&open(n), 10_000, 0).is_err());
        assert_eq!(passed, Some(512));
        // Time forgives one a second.
        tokio::time::advance(Duration::from_secs(100)).await;
        let passed = (10_513..20_000).position(|n| frames.look(&open(n), 10_000, 0).is_err());
        assert_eq!(passed, Some(99));
    }

    #[tokio::test(start_paused = true)]
    async fn clients_of_a_proxy_have_an_allowance_each() {
        let mut frames = FrameLimiter::new(true);
        let ping = frame(PING, 0, 0, &[0; 8]);
        assert_eq!(frames.look(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 0, 0), Ok(()));
        let passed = (0..100_000).position(|_| frames.look(&ping, 0, 0).is_err());
        assert_eq!(passed, Some(50_000));
    }

    #[tokio::test(start_paused = true)]
    async fn windows_are_widened_as_far_as_something_is_read_through_them() {
        let update = frame(8, 0, 0, &[0, 0, 4, 0]);
        let taken = |frames: &mut FrameLimiter, begun, sent| {
            let passes = |_: &usize| frames.look(&update, begun, sent).is_ok();
            (0..100_000).take_while(passes).count()
        };
        // Each KiB that was sent, and each stream that became a request, accounts for some; beyond that,
        // useless frames have their own allowance.
        assert_eq!(taken(&mut begun(), 0, 50 << 20), 51_200 + 1000);
        let mut frames = begun();
        for n in 0..100 {
            let open = frame(1, 5, 2 * n + 1, b"head");
            assert_eq!(frames.look(&open, usize::try_from(n).unwrap(), 0), Ok(()));
        }
        assert_eq!(taken(&mut frames, 100, 0), 200 + 1000);
    }

    #[tokio::test(start_paused = true)]
    async fn frames_are_told_apart_however_they_are_cut() {
        let mut stream = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
        for _ in 0..1001 {
            stream.extend(frame(0, 0, 1, &[PING; 30]));
            stream.extend(frame(PING, 0, 0, &[0; 8]));
        }
        for size in [1, 8, 9, 10, 47, 1000, stream.len()] {
            let mut frames = FrameLimiter::new(false);
            let last = stream.len() - 8 - 1;
            let mut seen = stream[..last].chunks(size);
            assert!(seen.all(|bytes| frames.look(bytes, 0, 0).is_ok()), "{size}");
            assert_eq!(frames.look(&stream[last..], 0, 0), Err(FloodError), "{size}");
        }
    }
}
