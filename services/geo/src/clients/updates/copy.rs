//! Copies of what is in the folder, to be kept elsewhere and to come back from there.

use std::fs::File;

use chrono::{DateTime, Utc};
use tempfile::NamedTempFile;

use super::UpdateError;
use super::folder::{DownloadedArchive, LockedDownloadDir, blocking};
use super::unpack::{ArchiveFormat, pack};

/// A downloaded database that is in the folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InstalledDatabase {
    /// In its publisher's words; a later one sorts after an earlier one.
    pub release: String,
    /// Of the database itself, in hexadecimal.
    pub md5: String,
    /// When to ask for something newer.
    pub ask_again_at: DateTime<Utc>,
}

impl LockedDownloadDir {
    /// What was downloaded of an edition, where it is there.
    #[must_use]
    pub fn installed(&self, edition: &str) -> Option<InstalledDatabase> {
        let entry = self.entry(edition).filter(|_| self.has(edition))?;
        Some(InstalledDatabase {
            release: entry.release.clone()?,
            md5: entry.md5.clone()?,
            ask_again_at: entry.next.unwrap_or_default(),
        })
    }

    /// An edition in gzip, in a file that goes away by itself; `None` where the edition's file is
    /// not the one that was installed. Little work rather than the smallest result: it is done
    /// once a release.
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

    /// Installs what [`LockedDownloadDir::pack`] has made, as carefully as a download.
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
