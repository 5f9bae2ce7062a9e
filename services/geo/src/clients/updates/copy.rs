//! Exports installed databases for backups, and restores them.

use std::fs::File;

use chrono::{DateTime, Utc};
use tempfile::NamedTempFile;

use super::UpdateError;
use super::folder::{DownloadedArchive, LockedDownloadDir, blocking};
use super::unpack::{ArchiveFormat, pack};

/// An installed database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InstalledDatabase {
    /// As named by the publisher. A later release sorts after an earlier one.
    pub release: String,
    /// MD5 of the unpacked database, in hexadecimal.
    pub md5: String,
    /// When to check for a newer release.
    pub ask_again_at: DateTime<Utc>,
}

impl LockedDownloadDir {
    /// The installed release of an edition, if its file exists.
    #[must_use]
    pub fn installed(&self, edition: &str) -> Option<InstalledDatabase> {
        let entry = self.entry(edition).filter(|_| self.has(edition))?;
        Some(InstalledDatabase {
            release: entry.release.clone()?,
            md5: entry.md5.clone()?,
            ask_again_at: entry.next.unwrap_or_default(),
        })
    }

    /// Compresses an edition with gzip into a temporary file; `None` if the file of the edition is
    /// not the one that was installed. Compresses fast instead of well.
    pub async fn pack(&self, edition: &str) -> Result<Option<NamedTempFile>, UpdateError> {
        let (path, mut packed) = (self.file(edition), self.temporary()?);
        let packing = blocking(move || {
            let md5 = pack(File::open(path)?, packed.as_file_mut())?;
            Ok((md5, packed))
        });
        let packing = packing.await;
        let (md5, packed) =
            packing.map_err(|error| UpdateError::Disk(self.file(edition), error))?;
        let known = self.entry(edition).and_then(|entry| entry.md5.as_ref());
        Ok((known == Some(&md5)).then_some(packed))
    }

    /// Verifies and installs a file that [`LockedDownloadDir::pack`] has written.
    pub async fn restore(
        &mut self,
        edition: &str,
        copy: InstalledDatabase,
        packed: NamedTempFile,
    ) -> Result<(), UpdateError> {
        let arrival = DownloadedArchive {
            archive: packed,
            pack: ArchiveFormat::Gz,
            md5: Some(copy.md5),
            release: copy.release,
        };
        self.install(edition, arrival).await?;
        self.ask_again(edition, copy.ask_again_at)
    }
}
