//! Bodies of requests as they arrive: unpacked in small pieces, and bounded while they are read.

use std::io::Write as _;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use axum::body::{Body, BodyDataStream};
use axum::http::{HeaderMap, header};
use bytes::{Buf as _, Bytes};
use flate2::write::MultiGzDecoder;
use futures::StreamExt as _;

/// What the bodies that are being read or worked on may take in this process.
pub const MAX_BYTES_IN_FLIGHT: usize = 67_108_864;
/// The largest ratio of unpacked to packed bytes of a body …
pub const MAX_UNPACK_RATIO: u64 = 100;
/// … beyond the first mebibyte, in which repetitive bodies pack better.
const UNPACK_ALLOWANCE_BYTES: u64 = 1_048_576;
/// What is unpacked at a time, in packed bytes: each becomes 1,032 bytes at most (RFC 1951).
const DECODE_STEP_BYTES: usize = 256;
/// Unpacked pieces are handed on from this length.
const CHUNK_BYTES: usize = 32_768;
/// What a decoder itself takes.
const DECODER_BYTES: usize = 65_536;

static BYTES_IN_FLIGHT: AtomicUsize = AtomicUsize::new(0);

/// Why a body is not read to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    /// It has another `Content-Encoding` than gzip.
    #[error("the body has an unknown Content-Encoding")]
    UnknownCoding,
    /// It is longer than is read, or packed more densely.
    #[error("the body is too large")]
    TooLarge,
    /// The connection broke, or what came is no gzip.
    #[error("the body could not be read to its end")]
    Incomplete,
    /// All bodies together take as much as they may.
    #[error("too many bodies are in memory")]
    Busy,
}

/// A body, unpacked where it is packed, in pieces of at most about 300 kB.
pub struct BodyReader {
    stream: BodyDataStream,
    unpacker: Option<GzipDecoder>,
}

struct GzipDecoder {
    decoder: MultiGzDecoder<Vec<u8>>,
    /// What has come and is still packed.
    packed: Bytes,
    received: u64,
    unpacked: u64,
    _charge: MemoryCharge,
}

impl BodyReader {
    /// The body of a request with these headers.
    pub fn new(headers: &HeaderMap, body: Body) -> Result<Self, BodyError> {
        let coding = headers.get(header::CONTENT_ENCODING);
        let unpacker = match coding.map(|coding| coding.as_bytes().to_ascii_lowercase()) {
            None => None,
            Some(coding) => match coding.as_slice() {
                b"identity" => None,
                b"gzip" | b"x-gzip" => Some(GzipDecoder::new()?),
                _ => return Err(BodyError::UnknownCoding),
            },
        };
        let stream = body.into_data_stream();
        Ok(Self { stream, unpacker })
    }

    /// The next piece; `None` at the end.
    pub async fn next(&mut self) -> Result<Option<Bytes>, BodyError> {
        loop {
            if let Some(unpacker) = &mut self.unpacker
                && let Some(piece) = unpacker.next()?
            {
                return Ok(Some(piece));
            }
            let next = self.stream.next().await.transpose();
            match (next.map_err(|_| BodyError::Incomplete)?, &mut self.unpacker) {
                (Some(piece), None) => return Ok(Some(piece)),
                (Some(piece), Some(unpacker)) => unpacker.add(piece),
                (None, None) => return Ok(None),
                (None, Some(unpacker)) => {
                    let rest = unpacker.finish()?;
                    self.unpacker = None;
                    if !rest.is_empty() {
                        return Ok(Some(rest));
                    }
                }
            }
        }
    }

    /// All of it, where that is at most `limit` bytes. It is counted among the bodies in memory
    /// until the last of it is dropped.
    pub async fn read_all(mut self, limit: usize) -> Result<Bytes, BodyError> {
        let mut charge = MemoryCharge::default();
        let Some(first) = self.next().await? else {
            return Ok(Bytes::new());
        };
        charge.set(first.len())?;
        // Most bodies come in one piece, which need not be copied.
        let Some(second) = self.next().await? else {
            if first.len() > limit {
                return Err(BodyError::TooLarge);
            }
            return Ok(charge.hold(first));
        };
        let mut all = first.to_vec();
        let mut next = Some(second);
        while let Some(piece) = next {
            if all.len() + piece.len() > limit {
                return Err(BodyError::TooLarge);
            }
            all.extend_from_slice(&piece);
            charge.set(all.capacity())?;
            next = self.next().await?;
        }
        Ok(charge.hold(all))
    }
}

impl GzipDecoder {
    fn new() -> Result<Self, BodyError> {
        let mut charge = MemoryCharge::default();
        charge.set(DECODER_BYTES)?;
        Ok(Self {
            decoder: MultiGzDecoder::new(vec![]),
            packed: Bytes::new(),
            received: 0,
            unpacked: 0,
            _charge: charge,
        })
    }

    fn add(&mut self, piece: Bytes) {
        self.received += piece.len() as u64;
        self.packed = piece;
    }

    /// A piece of what has come; `None` where more has to come first.
    fn next(&mut self) -> Result<Option<Bytes>, BodyError> {
        while !self.packed.is_empty() {
            let step = &self.packed[..self.packed.len().min(DECODE_STEP_BYTES)];
            let used = self.decoder.write(step);
            let used = used.map_err(|_| BodyError::Incomplete)?;
            self.packed.advance(used);
            if self.decoder.get_ref().len() >= CHUNK_BYTES {
                return self.take().map(Some);
            }
        }
        Ok(None)
    }

    /// The last piece, where the end of the packed body has come.
    fn finish(&mut self) -> Result<Bytes, BodyError> {
        let finished = self.decoder.try_finish();
        finished.map_err(|_| BodyError::Incomplete)?;
        self.take()
    }

    fn take(&mut self) -> Result<Bytes, BodyError> {
        let piece = std::mem::take(self.decoder.get_mut());
        self.unpacked += piece.len() as u64;
        if self.unpacked > UNPACK_ALLOWANCE_BYTES + MAX_UNPACK_RATIO * self.received {
            return Err(BodyError::TooLarge);
        }
        Ok(piece.into())
    }
}

/// A body's part of what all of them may take.
#[derive(Debug, Default)]
struct MemoryCharge(usize);

/// A body and its charge.
struct ChargedBody<T> {
    body: T,
    _charge: MemoryCharge,
}

impl MemoryCharge {
    fn set(&mut self, bytes: usize) -> Result<(), BodyError> {
        let more = bytes.saturating_sub(self.0);
        let before = BYTES_IN_FLIGHT.fetch_add(more, Relaxed);
        self.0 += more;
        // What was added is given back when this is dropped.
        if before + more > MAX_BYTES_IN_FLIGHT {
            return Err(BodyError::Busy);
        }
        Ok(())
    }

    fn hold<T: AsRef<[u8]> + Send + 'static>(self, body: T) -> Bytes {
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
