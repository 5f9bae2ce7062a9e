//! Unpacks archives: gzip, and the subset of tar that MaxMind uses.

use std::fs::File;
use std::io::{self, BufReader, Error, ErrorKind, Read, Write};

use flate2::Compression;
use flate2::bufread::MultiGzDecoder;
use flate2::write::GzEncoder;
use md5::{Digest as _, Md5};

/// Larger archives are refused, so that a crafted archive cannot fill the disk.
const MAX_DATABASE_BYTES: u64 = 1 << 30;

const TAR_BLOCK_BYTES: usize = 512;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ArchiveFormat {
    Gz,
    /// A tar archive with one `.mmdb` file among others, in gzip.
    TarGz,
}

/// Unpacks the database in an archive and returns its MD5 in hexadecimal.
pub(super) fn unpack(
    archive: File,
    pack: ArchiveFormat,
    to: &mut impl Write,
) -> io::Result<String> {
    let mut unpacked = MultiGzDecoder::new(BufReader::new(archive));
    let size = match pack {
        ArchiveFormat::Gz => MAX_DATABASE_BYTES,
        ArchiveFormat::TarGz => find_database(&mut unpacked)?,
    };
    let mut to = HashingWriter {
        inner: to,
        md5: Md5::new(),
    };
    let copied = io::copy(&mut unpacked.by_ref().take(size), &mut to)?;
    let is_cut = match pack {
        ArchiveFormat::Gz => unpacked.read(&mut [0])? > 0,
        ArchiveFormat::TarGz => copied < size,
    };
    if is_cut {
        return Err(Error::new(
            ErrorKind::InvalidData,
            "the archive is too large or truncated",
        ));
    }
    Ok(to_hex(to.md5))
}

/// Compresses a database to [`ArchiveFormat::Gz`] and returns its MD5 in hexadecimal.
pub(super) fn pack(mut database: File, to: impl Write) -> io::Result<String> {
    let mut to = HashingWriter {
        inner: GzEncoder::new(to, Compression::fast()),
        md5: Md5::new(),
    };
    io::copy(&mut database, &mut to)?;
    to.inner.finish()?;
    Ok(to_hex(to.md5))
}

pub(super) fn md5_of(mut file: File) -> io::Result<String> {
    let mut to = HashingWriter {
        inner: io::sink(),
        md5: Md5::new(),
    };
    io::copy(&mut file, &mut to)?;
    Ok(to_hex(to.md5))
}

/// Reads up to the content of the first regular file whose name ends in `.mmdb`, and returns its
/// size.
fn find_database(tar: &mut impl Read) -> io::Result<u64> {
    let mut header = [0; TAR_BLOCK_BYTES];
    loop {
        tar.read_exact(&mut header)?;
        let size = parse_octal(&header[124..136])?;
        let name = header[..100].split(|byte| *byte == 0).next();
        let is_file = matches!(header[156], b'0' | 0);
        if is_file && name.is_some_and(|name| name.ends_with(b".mmdb")) {
            return Ok(size);
        }
        let padded = size.div_ceil(TAR_BLOCK_BYTES as u64) * TAR_BLOCK_BYTES as u64;
        let skipped = io::copy(&mut tar.by_ref().take(padded), &mut io::sink())?;
        // The end of a tar archive: two blocks of zeros.
        if skipped < padded || header.iter().all(|byte| *byte == 0) {
            return Err(Error::new(
                ErrorKind::InvalidData,
                "the archive has no .mmdb file",
            ));
        }
    }
}

fn parse_octal(field: &[u8]) -> io::Result<u64> {
    let text = std::str::from_utf8(field).unwrap_or("?");
    let text = text.trim_matches(['\0', ' ']);
    let text = if text.is_empty() { "0" } else { text };
    let size = u64::from_str_radix(text, 8).ok();
    let size = size.filter(|size| *size <= MAX_DATABASE_BYTES);
    size.ok_or_else(|| Error::new(ErrorKind::InvalidData, "a tar header has an invalid size"))
}

fn to_hex(md5: Md5) -> String {
    let digest: [u8; 16] = md5.finalize().into();
    format!("{:032x}", u128::from_be_bytes(digest))
}

/// Computes the MD5 of the written bytes.
struct HashingWriter<W> {
    inner: W,
    md5: Md5,
}

impl<W: Write> Write for HashingWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.md5.update(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}
