//! Finds the borders of WebSocket frames (RFC 6455, section 5.2).

/// The longest frame head without the mask, in bytes.
const LONGEST_HEAD: usize = 10;

/// Opcodes (RFC 6455, section 11.8).
const CLOSE: u8 = 0x8;
const LAST_CONTROL: u8 = 0xA;

/// Tracks the frames of one direction by their heads; payloads are skipped.
#[derive(Debug, Default)]
pub(super) struct FrameTracker {
    at: FramePosition,
    head: [u8; LONGEST_HEAD],
    /// Bytes of the head so far.
    len: usize,
    has_closed: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum FramePosition {
    #[default]
    Head,
    /// Bytes left of the payload, and of the mask before it.
    Payload(u64),
    /// An invalid frame came, so the next border is unknown.
    Lost,
}

impl FrameTracker {
    /// Advances to the end of the current frame, or over all bytes. Returns how many were passed; at least
    /// one unless `bytes` is empty.
    pub(super) fn advance(&mut self, bytes: &[u8]) -> usize {
        for (passed, &byte) in bytes.iter().enumerate() {
            match self.at {
                FramePosition::Lost => return bytes.len(),
                FramePosition::Payload(left) => {
                    let rest = bytes.len() - passed;
                    let taken = usize::try_from(left).map_or(rest, |left| left.min(rest));
                    self.at = match left - taken as u64 {
                        0 => FramePosition::Head,
                        left => FramePosition::Payload(left),
                    };
                    return passed + taken;
                }
                FramePosition::Head => {
                    self.read_head(byte);
                    if self.is_between() {
                        return passed + 1;
                    }
                }
            }
        }
        bytes.len()
    }

    /// Whether a frame may be inserted here: none is cut, and no close frame came.
    pub(super) fn may_insert(&self) -> bool {
        self.is_between() && !self.has_closed
    }

    /// Whether a close frame came, which is the last of its direction.
    pub(super) fn has_closed(&self) -> bool {
        self.has_closed
    }

    fn is_between(&self) -> bool {
        self.at == FramePosition::Head && self.len == 0
    }

    fn read_head(&mut self, byte: u8) {
        self.head[self.len] = byte;
        self.len += 1;
        let [first, second, long @ ..] = self.head;
        if self.len < 2 {
            return;
        }
        let (opcode, short) = (first & 0xF, second & 0x7F);
        let is_control = opcode >= CLOSE;
        let is_known = opcode <= 2 || (CLOSE..=LAST_CONTROL).contains(&opcode);
        if !is_known || is_control && (first & 0x80 == 0 || short > 125) {
            self.at = FramePosition::Lost;
            return;
        }
        let extended = match short {
            126 => 2,
            127 => 8,
            _ => 0,
        };
        if self.len < 2 + extended {
            return;
        }
        let length = match extended {
            0 => u64::from(short),
            2 => u64::from(u16::from_be_bytes([long[0], long[1]])),
            _ => u64::from_be_bytes(long),
        };
        let mask = if second & 0x80 == 0 { 0 } else { 4 };
        self.len = 0;
        self.has_closed |= opcode == CLOSE;
        self.at = match length.checked_add(mask) {
            None => FramePosition::Lost,
            Some(0) => FramePosition::Head,
            Some(rest) => FramePosition::Payload(rest),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(first: u8, masked: bool, length: usize) -> Vec<u8> {
        let mask = if masked { 0x80 } else { 0 };
        let mut frame = vec![first];
        match length {
            0..126 => frame.push(mask | u8::try_from(length).unwrap()),
            126..65_536 => {
                frame.push(mask | 0x7E);
                frame.extend(u16::try_from(length).unwrap().to_be_bytes());
            }
            _ => {
                frame.push(mask | 0x7F);
                frame.extend((length as u64).to_be_bytes());
            }
        }
        let length = length + if masked { 4 } else { 0 };
        frame.resize(frame.len() + length, 0x88);
        frame
    }

    #[test]
    fn a_frame_ends_where_its_head_says_whatever_pieces_it_comes_in() {
        for length in [0, 1, 125, 126, 300, 65_535, 65_536, 70_000] {
            for masked in [false, true] {
                for first in [0x02, 0x82, 0xC1] {
                    let frame = frame(first, masked, length);
                    let two = [frame.as_slice(), &frame].concat();
                    let mut frames = FrameTracker::default();
                    assert_eq!(frames.advance(&two), frame.len());
                    assert!(frames.may_insert());
                    for piece in [1, 3, 4096] {
                        let mut frames = FrameTracker::default();
                        let mut passed = 0;
                        for bytes in frame.chunks(piece) {
                            assert!(passed == 0 || !frames.may_insert());
                            assert_eq!(frames.advance(bytes), bytes.len());
                            passed += bytes.len();
                        }
                        assert!(frames.may_insert());
                    }
                }
            }
        }
    }

    #[test]
    fn after_a_close_frame_nothing_may_be_put() {
        let mut frames = FrameTracker::default();
        let close = frame(0x88, true, 2);
        assert_eq!(frames.advance(&close), close.len());
        assert!(frames.has_closed() && !frames.may_insert());
    }

    #[test]
    fn what_is_no_frame_has_no_end() {
        for bytes in [
            // An unknown opcode, a fragmented control frame, a long one, and an impossible length.
            [0x83, 1, 0, 0].as_slice(),
            &[0x08, 0, 0],
            &[0x89, 126, 0, 200],
            &[0x82, 0xFF, 255, 255, 255, 255, 255, 255, 255, 255, 1],
        ] {
            let mut frames = FrameTracker::default();
            assert_eq!(frames.advance(bytes), bytes.len(), "{bytes:?}");
            assert!(!frames.may_insert(), "{bytes:?}");
            assert_eq!(frames.advance(&[0; 100]), 100);
            assert!(!frames.may_insert(), "{bytes:?}");
        }
    }
}
