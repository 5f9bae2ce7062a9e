//! Exports installed databases for backups, and restores them.

use std::fs::File;

use chrono::{DateTime, Utc};
use tempfile::NamedTempFile;

use super::archive::{ArchiveFormat, pack};
use super::download_dir::{DownloadedArchive, LockedDownloadDir, run_blocking};
use super::outcome::UpdateError;

/// An installed database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InstalledDatabase {
    /// As named by the publisher. A later release sorts after an earlier one.
    pub release: String,
    /// MD5 of the unpacked database, in hexadecimal.
    pub md5: String,
    /// When to check for a newer release.
    pub next_check_at: DateTime<Utc>,
}

impl LockedDownloadDir {
    /// The installed release of an edition, if its file exists.
    #[must_use]
    pub fn installed(&self, edition: &str) -> Option<InstalledDatabase> {
        let entry = self
            .edition_state(edition)
            .filter(|_| self.has_database(edition))?;
        Some(InstalledDatabase {
            release: entry.release.clone()?,
            md5: entry.md5.clone()?,
            next_check_at: entry.next.unwrap_or_default(),
        })
    }

    /// Compresses an edition with gzip into a temporary file; `None` if the file of the edition is
    /// not the one that was installed. Compresses fast instead of well.
    pub async fn export(&self, edition: &str) -> Result<Option<NamedTempFile>, UpdateError> {
        let (path, mut packed) = (self.database_path(edition), self.create_temp_file()?);
        let packing = run_blocking(move || {
            let md5 = pack(File::open(path)?, packed.as_file_mut())?;
            Ok((md5, packed))
        });
        let packing = packing.await;
        let (md5, packed) =
            packing.map_err(|error| UpdateError::Io(self.database_path(edition), error))?;
        let known = self
            .edition_state(edition)
            .and_then(|entry| entry.md5.as_ref());
        Ok((known == Some(&md5)).then_some(packed))
    }

    /// Verifies and installs a file that [`LockedDownloadDir::export`] has written.
    pub async fn restore(
        &mut self,
        edition: &str,
        copy: InstalledDatabase,
        packed: NamedTempFile,
    ) -> Result<(), UpdateError> {
        let arrival = DownloadedArchive {
            archive: packed,
            format: ArchiveFormat::Gz,
            md5: Some(copy.md5),
            release: copy.release,
        };
        self.install(edition, arrival).await?;
        self.set_next_check(edition, copy.next_check_at)
    }
}
