//! Reads and decompresses request bodies in small chunks, within limits of size and memory.

use std::io::Write as _;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use axum::body::{Body, BodyDataStream};
use axum::http::{HeaderMap, header};
use bytes::{Buf as _, Bytes};
use flate2::write::MultiGzDecoder;
use futures::StreamExt as _;

/// Bound on the memory of all request bodies in this process.
pub const MAX_BYTES_IN_FLIGHT: usize = 67_108_864;
/// Maximum compression ratio of a body, after the first mebibyte.
pub const MAX_COMPRESSION_RATIO: u64 = 100;
/// Small repetitive bodies may have a higher ratio.
const RATIO_EXEMPT_BYTES: u64 = 1_048_576;
/// Compressed bytes that are decoded at a time. Each yields at most 1,032 bytes (RFC 1951).
const DECODE_STEP_BYTES: usize = 256;
/// Decoded chunks have at least this size, except for the last.
const CHUNK_BYTES: usize = 32_768;
/// Approximate memory of a decoder.
const DECODER_BYTES: usize = 65_536;

static BYTES_IN_FLIGHT: AtomicUsize = AtomicUsize::new(0);

/// Why a body could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    #[error("the body has an unsupported Content-Encoding")]
    UnsupportedEncoding,
    /// The body or its compression ratio exceeds the limit.
    #[error("the body is too large")]
    TooLarge,
    /// The connection was closed, or the data are not gzip.
    #[error("the body is incomplete")]
    Incomplete,
    /// All bodies together exceed [`MAX_BYTES_IN_FLIGHT`].
    #[error("the memory for request bodies is exhausted")]
    MemoryExhausted,
}

/// Reads a body in decompressed chunks of at most about 300 kB.
pub struct BodyReader {
    stream: BodyDataStream,
    gzip: Option<GzipDecoder>,
}

struct GzipDecoder {
    decoder: MultiGzDecoder<Vec<u8>>,
    /// Received bytes that are not decoded yet.
    compressed: Bytes,
    received_bytes: u64,
    decompressed_bytes: u64,
    _charge: MemoryCharge,
}

impl BodyReader {
    /// Creates a reader for a request with these headers.
    pub fn new(headers: &HeaderMap, body: Body) -> Result<Self, BodyError> {
        let coding = headers.get(header::CONTENT_ENCODING);
        let unpacker = match coding.map(|coding| coding.as_bytes().to_ascii_lowercase()) {
            None => None,
            Some(coding) => match coding.as_slice() {
                b"identity" => None,
                b"gzip" | b"x-gzip" => Some(GzipDecoder::new()?),
                _ => return Err(BodyError::UnsupportedEncoding),
            },
        };
        let stream = body.into_data_stream();
        Ok(Self {
            stream,
            gzip: unpacker,
        })
    }

    /// Returns the next chunk, or `None` at the end.
    pub async fn next_chunk(&mut self) -> Result<Option<Bytes>, BodyError> {
        loop {
            if let Some(unpacker) = &mut self.gzip
                && let Some(piece) = unpacker.next_chunk()?
            {
                return Ok(Some(piece));
            }
            let next = self.stream.next().await.transpose();
            match (next.map_err(|_| BodyError::Incomplete)?, &mut self.gzip) {
                (Some(piece), None) => return Ok(Some(piece)),
                (Some(piece), Some(unpacker)) => unpacker.push(piece),
                (None, None) => return Ok(None),
                (None, Some(unpacker)) => {
                    let rest = unpacker.finish()?;
                    self.gzip = None;
                    if !rest.is_empty() {
                        return Ok(Some(rest));
                    }
                }
            }
        }
    }

    /// Reads the whole body, at most `limit` bytes. Its memory counts toward
    /// [`MAX_BYTES_IN_FLIGHT`] until the returned bytes are dropped.
    pub async fn read_all(mut self, limit: usize) -> Result<Bytes, BodyError> {
        let mut charge = MemoryCharge::default();
        let Some(first) = self.next_chunk().await? else {
            return Ok(Bytes::new());
        };
        charge.grow_to(first.len())?;
        // Most bodies have one chunk, which needs no copy.
        let Some(second) = self.next_chunk().await? else {
            if first.len() > limit {
                return Err(BodyError::TooLarge);
            }
            return Ok(charge.attach_to(first));
        };
        let mut all = first.to_vec();
        let mut next = Some(second);
        while let Some(piece) = next {
            if all.len() + piece.len() > limit {
                return Err(BodyError::TooLarge);
            }
            all.extend_from_slice(&piece);
            charge.grow_to(all.capacity())?;
            next = self.next_chunk().await?;
        }
        Ok(charge.attach_to(all))
    }
}

impl GzipDecoder {
    fn new() -> Result<Self, BodyError> {
        let mut charge = MemoryCharge::default();
        charge.grow_to(DECODER_BYTES)?;
        Ok(Self {
            decoder: MultiGzDecoder::new(vec![]),
            compressed: Bytes::new(),
            received_bytes: 0,
            decompressed_bytes: 0,
            _charge: charge,
        })
    }

    fn push(&mut self, piece: Bytes) {
        self.received_bytes += piece.len() as u64;
        self.compressed = piece;
    }

    /// Decodes the next chunk. `None` if more input is needed.
    fn next_chunk(&mut self) -> Result<Option<Bytes>, BodyError> {
        while !self.compressed.is_empty() {
            let step = &self.compressed[..self.compressed.len().min(DECODE_STEP_BYTES)];
            let used = self.decoder.write(step);
            let used = used.map_err(|_| BodyError::Incomplete)?;
            self.compressed.advance(used);
            if self.decoder.get_ref().len() >= CHUNK_BYTES {
                return self.take_chunk().map(Some);
            }
        }
        Ok(None)
    }

    /// Returns the last chunk. Fails if the compressed body is truncated.
    fn finish(&mut self) -> Result<Bytes, BodyError> {
        let finished = self.decoder.try_finish();
        finished.map_err(|_| BodyError::Incomplete)?;
        self.take_chunk()
    }

    fn take_chunk(&mut self) -> Result<Bytes, BodyError> {
        let piece = std::mem::take(self.decoder.get_mut());
        self.decompressed_bytes += piece.len() as u64;
        if self.decompressed_bytes
            > RATIO_EXEMPT_BYTES + MAX_COMPRESSION_RATIO * self.received_bytes
        {
            return Err(BodyError::TooLarge);
        }
        Ok(piece.into())
    }
}

/// The share of a body in [`MAX_BYTES_IN_FLIGHT`]. Dropping it releases the share.
#[derive(Debug, Default)]
struct MemoryCharge(usize);

struct ChargedBody<T> {
    body: T,
    _charge: MemoryCharge,
}

/// Counts the memory of a changed body toward [`MAX_BYTES_IN_FLIGHT`].
pub(crate) fn charge_memory(body: Vec<u8>) -> Result<Bytes, BodyError> {
    let mut charge = MemoryCharge::default();
    charge.grow_to(body.capacity())?;
    Ok(charge.attach_to(body))
}

impl MemoryCharge {
    fn grow_to(&mut self, bytes: usize) -> Result<(), BodyError> {
        let more = bytes.saturating_sub(self.0);
        let before = BYTES_IN_FLIGHT.fetch_add(more, Relaxed);
        self.0 += more;
        // Dropping `self` subtracts what was added.
        if before + more > MAX_BYTES_IN_FLIGHT {
            return Err(BodyError::MemoryExhausted);
        }
        Ok(())
    }

    fn attach_to<T: AsRef<[u8]> + Send + 'static>(self, body: T) -> Bytes {
        let held = ChargedBody {
            body,
            _charge: self,
        };
        Bytes::from_owner(held)
    }
}

impl Drop for MemoryCharge {
    fn drop(&mut self) {
        BYTES_IN_FLIGHT.fetch_sub(self.0, Relaxed);
    }
}

impl<T: AsRef<[u8]>> AsRef<[u8]> for ChargedBody<T> {
    fn as_ref(&self) -> &[u8] {
        self.body.as_ref()
    }
}
