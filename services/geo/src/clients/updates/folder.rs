//! The folder of downloads. A database in it is always a whole, sound one.

use std::fs::{self, File, TryLockError};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};
use tempfile::NamedTempFile;
use tokio::task::spawn_blocking;

use super::super::mmdb::{DatabaseError, MmdbDatabase};
use super::UpdateError;
use super::ledger::{EditionState, UpdateState};
use super::unpack::{ArchiveFormat, md5_of, unpack};

/// How the names of unfinished files begin.
pub(super) const TEMP_FILE_PREFIX: &str = ".download-";

/// A folder of downloads.
#[derive(Clone, Debug)]
pub struct DownloadDir(PathBuf);

/// The folder as only one process at a time has it.
pub struct LockedDownloadDir {
    path: PathBuf,
    ledger: UpdateState,
    _lock: File,
}

/// A downloaded archive.
pub(super) struct DownloadedArchive {
    pub(super) archive: NamedTempFile,
    pub(super) pack: ArchiveFormat,
    /// The database's, where the publisher tells it.
    pub(super) md5: Option<String>,
    pub(super) release: String,
}

impl DownloadDir {
    /// The folder need not be there yet.
    #[must_use]
    pub fn new(path: PathBuf) -> Self {
        Self(path)
    }

    /// Makes the folder, takes its lock and removes what a killed process has left. `None` where
    /// another process has the lock.
    pub fn lock(&self) -> Result<Option<LockedDownloadDir>, UpdateError> {
        let path = self.0.clone();
        match lock(&path) {
            Ok(Some(lock)) => Ok(Some(LockedDownloadDir {
                ledger: UpdateState::read(&path),
                path,
                _lock: lock,
            })),
            Ok(None) => Ok(None),
            Err(error) => Err(UpdateError::Disk(path, error)),
        }
    }
}

fn lock(path: &Path) -> io::Result<Option<File>> {
    fs::create_dir_all(path)?;
    let lock = File::create(path.join(".lock"))?;
    match lock.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Ok(None),
        Err(TryLockError::Error(error)) => return Err(error),
    }
    for entry in path.read_dir()? {
        let entry = entry?;
        if entry
            .file_name()
            .to_string_lossy()
            .starts_with(TEMP_FILE_PREFIX)
        {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(Some(lock))
}

impl LockedDownloadDir {
    /// When to ask for an edition next, if that is not now.
    #[must_use]
    pub fn waits_until(&self, edition: &str, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let entry = self.entry(edition)?;
        let is_lost = entry.release.is_some() && !self.has(edition);
        entry.waits_until(now).filter(|_| !is_lost)
    }

    /// Whether an edition is there.
    #[must_use]
    pub fn has(&self, edition: &str) -> bool {
        self.file(edition).exists()
    }

    /// Remembers when to ask for an edition next.
    pub fn ask_again(&mut self, edition: &str, at: DateTime<Utc>) -> Result<(), UpdateError> {
        let entry = self.ledger.0.entry(edition.to_owned()).or_default();
        entry.next = Some(at);
        self.remember()
    }

    /// Removes what was downloaded once and is no longer kept fresh.
    pub fn keep_only(&mut self, editions: &[String]) -> Result<(), UpdateError> {
        let is_old = |edition: &&String| !editions.contains(edition);
        let old: Vec<_> = self.ledger.0.keys().filter(is_old).cloned().collect();
        for edition in &old {
            match fs::remove_file(self.file(edition)) {
                Err(error) if error.kind() != ErrorKind::NotFound => {
                    return Err(UpdateError::Disk(self.file(edition), error));
                }
                _ => self.ledger.0.remove(edition),
            };
        }
        if old.is_empty() {
            Ok(())
        } else {
            self.remember()
        }
    }

    pub(super) fn entry(&self, edition: &str) -> Option<&EditionState> {
        self.ledger.0.get(edition)
    }

    fn remember(&self) -> Result<(), UpdateError> {
        let written = self.ledger.write(&self.path);
        written.map_err(|error| UpdateError::Disk(self.path.clone(), error))
    }

    pub(super) fn file(&self, edition: &str) -> PathBuf {
        self.path.join(format!("{edition}.mmdb"))
    }

    /// The md5 of an edition's file; `None` where there is none.
    pub(super) async fn md5(&self, edition: &str) -> Result<Option<String>, UpdateError> {
        let path = self.file(edition);
        let read = blocking(move || match File::open(&path) {
            Ok(file) => md5_of(file).map(Some),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        });
        let read = read.await;
        read.map_err(|error| UpdateError::Disk(self.file(edition), error))
    }

    /// The release of an edition, where its file is the one that was downloaded.
    pub(super) async fn intact_release(
        &self,
        edition: &str,
    ) -> Result<Option<String>, UpdateError> {
        let md5 = self.md5(edition).await?;
        let entry = self.entry(edition);
        let entry = entry.filter(|entry| md5.is_some() && entry.md5 == md5);
        Ok(entry.and_then(|entry| entry.release.clone()))
    }

    /// A file that goes away by itself.
    pub fn temporary(&self) -> Result<NamedTempFile, UpdateError> {
        let file = NamedTempFile::with_prefix_in(TEMP_FILE_PREFIX, &self.path);
        file.map_err(|error| UpdateError::Disk(self.path.clone(), error))
    }

    /// Unpacks and checks what came, and only then puts it in the place of what was there.
    pub(super) async fn install(
        &mut self,
        edition: &str,
        arrival: DownloadedArchive,
    ) -> Result<(), UpdateError> {
        let (fresh, file) = (self.temporary()?, self.file(edition));
        let release = arrival.release.clone();
        let md5 = blocking(move || Ok(place(arrival, fresh, &file))).await;
        let md5 = md5.map_err(|error| UpdateError::Disk(self.path.clone(), error))??;
        let entry = self.ledger.0.entry(edition.to_owned()).or_default();
        (entry.md5, entry.release) = (Some(md5), Some(release));
        self.remember()
    }
}

fn place(
    arrival: DownloadedArchive,
    mut fresh: NamedTempFile,
    file: &Path,
) -> Result<String, UpdateError> {
    let disk = |error| UpdateError::Disk(file.to_owned(), error);
    let archive = arrival.archive.reopen().map_err(disk)?;
    let md5 = unpack(archive, arrival.pack, &mut fresh).map_err(|error| match error.kind() {
        ErrorKind::InvalidData | ErrorKind::InvalidInput | ErrorKind::UnexpectedEof => {
            UpdateError::Unsound(DatabaseError::Unreadable(error))
        }
        _ => disk(error),
    })?;
    drop(arrival.archive);
    let announced = arrival.md5.as_ref();
    if announced.is_some_and(|announced| !announced.eq_ignore_ascii_case(&md5)) {
        return Err(UpdateError::Checksum);
    }
    fresh.as_file().sync_all().map_err(disk)?;
    MmdbDatabase::open(fresh.path())?;
    fresh.persist(file).map_err(|error| disk(error.error))?;
    let folder = file.parent().unwrap_or(file);
    File::open(folder)
        .and_then(|folder| folder.sync_all())
        .map_err(disk)?;
    Ok(md5)
}

/// Runs what would hold up others.
pub(super) async fn blocking<T: Send + 'static>(
    run: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    spawn_blocking(run).await.map_err(io::Error::other)?
}
