//! Writes log lines without ever failing, so that a full disk or a closed pipe costs lines, not the gateway.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::metrics::Counter;

/// Writes whole lines. A line that cannot be written is lost and counted; the caller sees success.
#[derive(Debug)]
pub struct LogWriter<W> {
    inner: W,
    lost: Arc<Counter>,
    torn: Arc<AtomicBool>,
}

impl<W> LogWriter<W> {
    /// Each write is one line. `torn` is shared by all writers to one target: whether it ends within a line,
    /// which the next write ends first.
    pub fn new(inner: W, lost: Arc<Counter>, torn: Arc<AtomicBool>) -> Self {
        Self { inner, lost, torn }
    }
}

impl<W: Write> LogWriter<W> {
    fn write_line(&mut self, line: &[u8]) -> io::Result<()> {
        if self.torn.load(Ordering::Relaxed) {
            self.inner.write_all(b"\n")?;
            self.torn.store(false, Ordering::Relaxed);
        }
        let mut rest = line;
        while !rest.is_empty() {
            let written = match self.inner.write(rest) {
                Ok(0) => Err(io::ErrorKind::WriteZero.into()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                written => written,
            };
            match written {
                Ok(more) => rest = &rest[more..],
                Err(error) => {
                    if rest.len() < line.len() {
                        self.torn.store(true, Ordering::Relaxed);
                    }
                    return Err(error);
                }
            }
        }
        Ok(())
    }
}

impl<W: Write> Write for LogWriter<W> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let written = self.write_line(line).and_then(|()| self.inner.flush());
        if written.is_err() {
            self.lost.increment();
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes so many bytes, and then has no room.
    struct Full(usize);

    impl Write for Full {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            if self.0 == 0 {
                return Err(io::ErrorKind::StorageFull.into());
            }
            let taken = bytes.len().min(self.0);
            self.0 -= taken;
            Ok(taken)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_line_that_cannot_be_written_is_counted_and_is_no_error() {
        let lost = Arc::<Counter>::default();
        let mut writer = LogWriter::new(Full(10), lost.clone(), Arc::default());
        writer.write_all(b"a line\n").unwrap();
        assert_eq!(lost.value(), 0);
        writer.write_all(b"a line\n").unwrap();
        writer.write_all(b"a line\n").unwrap();
        writer.flush().unwrap();
        assert_eq!(lost.value(), 2);
    }

    /// Has room for so many bytes at first, then for none, and again after one failure.
    struct Emptied {
        room: usize,
        text: Vec<u8>,
    }

    impl Write for Emptied {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            if self.room == 0 {
                self.room = usize::MAX;
                return Err(io::ErrorKind::StorageFull.into());
            }
            let taken = bytes.len().min(self.room);
            self.room -= taken;
            self.text.extend_from_slice(&bytes[..taken]);
            Ok(taken)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_line_that_was_cut_does_not_swallow_the_next() {
        let lost = Arc::<Counter>::default();
        let mut place = Emptied {
            room: 10,
            text: Vec::new(),
        };
        let torn = Arc::<AtomicBool>::default();
        for line in ["line 1\n", "line 2\n", "line 3\n"] {
            // As messages are written: by a writer each.
            let mut writer = LogWriter::new(&mut place, lost.clone(), torn.clone());
            writer.write_all(line.as_bytes()).unwrap();
        }
        assert_eq!(lost.value(), 1);
        assert_eq!(place.text, b"line 1\nlin\nline 3\n");
    }
}
