//! Writing log lines: never fails, so that a full disk or a pipe without a reader costs lines and not the gateway.

use std::io::{self, Write};
use std::sync::Arc;

use crate::metrics::Counter;

/// Writes whole lines. One that cannot be written is lost and counted; whoever writes is told that it was written.
#[derive(Debug)]
pub struct LogWriter<W> {
    inner: W,
    lost: Arc<Counter>,
}

impl<W> LogWriter<W> {
    /// Each write is a line of its own.
    pub fn new(inner: W, lost: Arc<Counter>) -> Self {
        Self { inner, lost }
    }
}

impl<W: Write> Write for LogWriter<W> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let written = self.inner.write_all(line).and_then(|()| self.inner.flush());
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
        let mut writer = LogWriter::new(Full(10), lost.clone());
        writer.write_all(b"a line\n").unwrap();
        assert_eq!(lost.value(), 0);
        writer.write_all(b"a line\n").unwrap();
        writer.write_all(b"a line\n").unwrap();
        writer.flush().unwrap();
        assert_eq!(lost.value(), 2);
    }
}
