//! Unpacks and packs archives of databases: gzip, and MaxMind's tar in gzip.

use std::fs::File;
use std::io::{self, BufReader, Error, ErrorKind, Read, Write};

use flate2::Compression;
use flate2::bufread::MultiGzDecoder;
use flate2::write::GzEncoder;
use md5::{Digest as _, Md5};
use tar::Archive;

/// Larger archives are refused, so that a crafted archive cannot fill the disk.
const MAX_DATABASE_BYTES: u64 = 1 << 30;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ArchiveFormat {
    Gz,
    /// A tar archive with one `.mmdb` file among others, in gzip.
    TarGz,
}

/// Unpacks the database in an archive and returns its MD5 in hexadecimal. An error of a kind other
/// than [`ErrorKind::InvalidData`], [`ErrorKind::InvalidInput`] and [`ErrorKind::UnexpectedEof`]
/// comes from the disk.
pub(super) fn unpack(
    archive: impl Read,
    format: ArchiveFormat,
    to: &mut impl Write,
) -> io::Result<String> {
    let unpacked = MultiGzDecoder::new(BufReader::new(archive));
    let mut to = HashingWriter {
        inner: to,
        md5: Md5::new(),
    };
    match format {
        ArchiveFormat::Gz => copy_bounded(unpacked, &mut to)?,
        ArchiveFormat::TarGz => copy_database_entry(unpacked, &mut to)?,
    }
    Ok(to_hex(to.md5))
}

fn copy_bounded(mut database: impl Read, to: &mut impl Write) -> io::Result<()> {
    io::copy(&mut database.by_ref().take(MAX_DATABASE_BYTES), to)?;
    if database.read(&mut [0])? > 0 {
        return Err(invalid_data("the database is too large"));
    }
    Ok(())
}

/// Copies the first regular file whose name ends in `.mmdb`.
fn copy_database_entry(tar: impl Read, to: &mut impl Write) -> io::Result<()> {
    let mut archive = Archive::new(tar);
    // Raw, because extended headers are read into memory whatever their size. MaxMind's archives
    // have none.
    for entry in archive.entries()?.raw(true) {
        let mut entry = entry.map_err(mark_as_invalid)?;
        let size = entry.size();
        if size > MAX_DATABASE_BYTES {
            return Err(invalid_data("the archive has an entry that is too large"));
        }
        let is_file = entry.header().entry_type().is_file();
        if is_file && entry.path_bytes().ends_with(b".mmdb") {
            let copied = io::copy(&mut entry, to)?;
            if copied < size {
                return Err(invalid_data("the archive is truncated"));
            }
            return Ok(());
        }
    }
    Err(invalid_data("the archive has no .mmdb file"))
}

/// Faults of an archive have the kind `Other` in the crate `tar`.
fn mark_as_invalid(error: Error) -> Error {
    match error.kind() {
        ErrorKind::Other => Error::new(ErrorKind::InvalidData, error),
        _ => error,
    }
}

fn invalid_data(what: &'static str) -> Error {
    Error::new(ErrorKind::InvalidData, what)
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

#[cfg(test)]
mod tests {
    use tar::{Builder, EntryType, Header};

    use super::*;

    fn tar(entries: &[(&str, EntryType, &[u8])]) -> Vec<u8> {
        let mut archive = Builder::new(vec![]);
        for (name, kind, content) in entries {
            let mut header = Header::new_ustar();
            header.set_entry_type(*kind);
            header.set_size(content.len() as u64);
            archive.append_data(&mut header, name, *content).unwrap();
        }
        archive.into_inner().unwrap()
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(vec![], Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn unpack_tar(archive: &[u8]) -> Result<Vec<u8>, ErrorKind> {
        let mut database = vec![];
        let unpacked = unpack(&*gzip(archive), ArchiveFormat::TarGz, &mut database);
        unpacked.map(|_| database).map_err(|error| error.kind())
    }

    #[test]
    fn the_first_regular_mmdb_file_of_a_tar_archive_is_unpacked() {
        let archive = tar(&[
            ("a.mmdb/", EntryType::Directory, b""),
            ("a.mmdb/LICENSE.txt", EntryType::Regular, b"free"),
            ("a.mmdb/link.mmdb", EntryType::Symlink, b""),
            ("a.mmdb/a.mmdb", EntryType::Regular, &[7; 700]),
            ("a.mmdb/b.mmdb", EntryType::Regular, b"other"),
        ]);
        assert_eq!(unpack_tar(&archive), Ok(vec![7; 700]));
    }

    #[test]
    fn a_damaged_tar_archive_is_invalid_data() {
        let whole = tar(&[
            ("LICENSE.txt", EntryType::Regular, b"free"),
            ("a.mmdb", EntryType::Regular, &[7; 700]),
        ]);
        // In the headers, between them, and in the database.
        for end in [0, 100, 512, 515, 1_024, 1_100, 1_536, 2_000] {
            assert_eq!(
                unpack_tar(&whole[..end]),
                Err(ErrorKind::InvalidData),
                "{end}"
            );
        }
        let mut changed = whole.clone();
        changed[1_024] ^= 1;
        assert_eq!(unpack_tar(&changed), Err(ErrorKind::InvalidData));
        let without = tar(&[("LICENSE.txt", EntryType::Regular, b"free")]);
        assert_eq!(unpack_tar(&without), Err(ErrorKind::InvalidData));
    }

    #[test]
    fn an_entry_that_claims_to_be_too_large_is_refused() {
        for size in [MAX_DATABASE_BYTES + 1, u64::MAX] {
            let mut header = Header::new_gnu();
            header.set_path("a.mmdb").unwrap();
            header.set_size(size);
            header.set_cksum();
            assert_eq!(
                unpack_tar(header.as_bytes()),
                Err(ErrorKind::InvalidData),
                "{size}"
            );
        }
    }
}
