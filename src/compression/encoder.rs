//! Encoders of the content codings, behind one interface.

use std::fmt;
use std::io::{self, Write as _};

use brotli::CompressorWriter;
use brotli::enc::BrotliEncoderParams;
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use zstd::zstd_safe::CParameter;

use super::ContentCoding;

const GZIP_LEVEL: u32 = 5;
const ZSTD_LEVEL: i32 = 3;
const BROTLI_QUALITY: i32 = 4;

/// Windows, as powers of two: those of the levels would take several MiB.
const ZSTD_WINDOW: u32 = 18;
const BROTLI_WINDOW: i32 = 18;
const BROTLI_BUFFER: usize = 4 << 10;

/// A stream of compressed content.
pub struct ContentEncoder(Stream);

enum Stream {
    Zstd(zstd::stream::write::Encoder<'static, Vec<u8>>),
    Gzip(GzEncoder<Vec<u8>>),
    Brotli(Box<CompressorWriter<Vec<u8>>>),
}

impl ContentEncoder {
    /// Begins a stream.
    pub fn new(coding: ContentCoding) -> io::Result<Self> {
        Ok(Self(match coding {
            ContentCoding::Zstd => {
                let mut stream = zstd::stream::write::Encoder::new(Vec::new(), ZSTD_LEVEL)?;
                stream.set_parameter(CParameter::WindowLog(ZSTD_WINDOW))?;
                Stream::Zstd(stream)
            }
            ContentCoding::Gzip => Stream::Gzip(GzEncoder::new(Vec::new(), Compression::new(GZIP_LEVEL))),
            ContentCoding::Brotli => {
                let params = BrotliEncoderParams {
                    quality: BROTLI_QUALITY,
                    lgwin: BROTLI_WINDOW,
                    ..BrotliEncoderParams::default()
                };
                let stream = CompressorWriter::with_params(Vec::new(), BROTLI_BUFFER, &params);
                Stream::Brotli(Box::new(stream))
            }
        }))
    }

    /// Compresses content. What comes of it may stay inside until more comes.
    pub fn write(&mut self, content: &[u8]) -> io::Result<()> {
        match &mut self.0 {
            Stream::Zstd(stream) => stream.write_all(content),
            Stream::Gzip(stream) => stream.write_all(content),
            Stream::Brotli(stream) => stream.write_all(content),
        }
    }

    /// Lets out all that was written, so that the client can decode it.
    pub fn flush(&mut self) -> io::Result<()> {
        match &mut self.0 {
            Stream::Zstd(stream) => stream.flush(),
            Stream::Gzip(stream) => stream.flush(),
            Stream::Brotli(stream) => stream.flush(),
        }
    }

    /// Takes what has come out, if that is as much as `least`.
    pub fn take(&mut self, least: usize) -> Option<Bytes> {
        let output = match &mut self.0 {
            Stream::Zstd(stream) => stream.get_mut(),
            Stream::Gzip(stream) => stream.get_mut(),
            Stream::Brotli(stream) => stream.get_mut(),
        };
        (output.len() >= least).then(|| std::mem::take(output).into())
    }

    /// Ends the stream; returns the rest of it.
    pub fn finish(self) -> io::Result<Bytes> {
        let output = match self.0 {
            Stream::Zstd(stream) => stream.finish()?,
            Stream::Gzip(stream) => stream.finish()?,
            Stream::Brotli(stream) => stream.into_inner(),
        };
        Ok(output.into())
    }
}

impl fmt::Debug for ContentEncoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let coding = match &self.0 {
            Stream::Zstd(_) => ContentCoding::Zstd,
            Stream::Gzip(_) => ContentCoding::Gzip,
            Stream::Brotli(_) => ContentCoding::Brotli,
        };
        f.debug_tuple("ContentEncoder").field(&coding).finish()
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    /// Decodes the beginning of a stream: as much as can be decoded.
    fn decoded(coding: ContentCoding, content: &[u8]) -> Vec<u8> {
        let mut reader: Box<dyn io::Read> = match coding {
            ContentCoding::Zstd => Box::new(zstd::stream::read::Decoder::new(content).unwrap()),
            ContentCoding::Gzip => Box::new(flate2::read::GzDecoder::new(content)),
            ContentCoding::Brotli => Box::new(brotli::Decompressor::new(content, 4096)),
        };
        let mut decoded = Vec::new();
        let mut buffer = [0; 4096];
        while let Ok(count @ 1..) = reader.read(&mut buffer) {
            decoded.extend_from_slice(&buffer[..count]);
        }
        decoded
    }

    #[test]
    fn what_was_flushed_can_be_decoded_before_the_end() {
        for coding in ContentCoding::ALL {
            let mut encoder = ContentEncoder::new(coding).unwrap();
            let (mut written, mut sent) = (Vec::new(), Vec::new());
            for round in 0..20 {
                let piece = format!("round {round}: {}\n", "x".repeat(round * 1000));
                encoder.write(piece.as_bytes()).unwrap();
                encoder.flush().unwrap();
                written.extend_from_slice(piece.as_bytes());
                sent.extend_from_slice(&encoder.take(1).unwrap());
                assert!(decoded(coding, &sent) == written, "{coding:?}, round {round}");
            }
            sent.extend_from_slice(&encoder.finish().unwrap());
            assert!(decoded(coding, &sent) == written, "{coding:?}");
            assert!(
                sent.len() < written.len() / 50,
                "{coding:?}: {} bytes",
                sent.len()
            );
        }
    }

    #[test]
    fn nothing_is_a_stream_too() {
        for coding in ContentCoding::ALL {
            let empty = ContentEncoder::new(coding).unwrap().finish().unwrap();
            assert!(!empty.is_empty(), "{coding:?}");
            assert!(decoded(coding, &empty).is_empty(), "{coding:?}");
        }
    }
}
