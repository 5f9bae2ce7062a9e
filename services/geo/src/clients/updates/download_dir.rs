//! The directory of downloads. Databases are verified and then renamed into place, so that it
//! contains complete databases only.

use std::fs::{self, File, TryLockError};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use chrono::{DateTime, Utc};
use tempfile::NamedTempFile;
use tokio::task::spawn_blocking;

use super::super::mmdb::{DatabaseError, MmdbDatabase};
use super::archive::{ArchiveFormat, md5_of, unpack};
use super::outcome::UpdateError;
use super::temp_file;
use super::update_state::{EditionState, UpdateState};

#[derive(Clone, Debug)]
pub struct DownloadDir(PathBuf);

/// The directory with its file lock, which one process holds at a time.
pub struct LockedDownloadDir {
    path: PathBuf,
    state: UpdateState,
    /// Shared with blocking work, which goes on when its future is dropped.
    lock: Arc<File>,
}

pub(super) struct DownloadedArchive {
    pub(super) archive: NamedTempFile,
    pub(super) format: ArchiveFormat,
    /// MD5 of the unpacked database, if the publisher announces it.
    pub(super) md5: Option<String>,
    pub(super) release: String,
}

impl DownloadDir {
    /// The directory need not exist.
    #[must_use]
    pub fn new(path: PathBuf) -> Self {
        Self(path)
    }

    /// Creates and locks the directory, and removes files that a killed process has left behind.
    /// `None` if another process holds the lock.
    pub fn lock(&self) -> Result<Option<LockedDownloadDir>, UpdateError> {
        let path = self.0.clone();
        match lock_dir(&path) {
            Ok(Some(lock)) => Ok(Some(LockedDownloadDir {
                state: UpdateState::read(&path),
                path,
                lock: Arc::new(lock),
            })),
            Ok(None) => Ok(None),
            Err(error) => Err(UpdateError::Io(path, error)),
        }
    }
}

fn lock_dir(path: &Path) -> io::Result<Option<File>> {
    fs::create_dir_all(path)?;
    let lock = File::create(path.join(".lock"))?;
    match lock.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Ok(None),
        Err(TryLockError::Error(error)) => return Err(error),
    }
    temp_file::remove_all(path)?;
    Ok(Some(lock))
}

impl LockedDownloadDir {
    /// The time of the next check of an edition; `None` if it is due, or if its file is lost.
    #[must_use]
    pub fn next_check(&self, edition: &str, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let entry = self.edition_state(edition)?;
        let is_lost = entry.release.is_some() && !self.has_database(edition);
        entry.next_check(now).filter(|_| !is_lost)
    }

    #[must_use]
    pub fn has_database(&self, edition: &str) -> bool {
        self.database_path(edition).exists()
    }

    /// Stores the time of the next check of an edition.
    pub fn set_next_check(&mut self, edition: &str, at: DateTime<Utc>) -> Result<(), UpdateError> {
        let entry = self.state.0.entry(edition.to_owned()).or_default();
        entry.next = Some(at);
        self.save_state()
    }

    /// Deletes downloaded editions that are no longer in the settings.
    pub fn remove_other_editions(&mut self, editions: &[String]) -> Result<(), UpdateError> {
        let is_old = |edition: &&String| !editions.contains(edition);
        let old: Vec<_> = self.state.0.keys().filter(is_old).cloned().collect();
        for edition in &old {
            match fs::remove_file(self.database_path(edition)) {
                Err(error) if error.kind() != ErrorKind::NotFound => {
                    return Err(UpdateError::Io(self.database_path(edition), error));
                }
                _ => self.state.0.remove(edition),
            };
        }
        if old.is_empty() {
            Ok(())
        } else {
            self.save_state()
        }
    }

    pub(super) fn edition_state(&self, edition: &str) -> Option<&EditionState> {
        self.state.0.get(edition)
    }

    fn save_state(&self) -> Result<(), UpdateError> {
        let written = self.state.write(&self.path);
        written.map_err(|error| UpdateError::Io(self.path.clone(), error))
    }

    pub(super) fn database_path(&self, edition: &str) -> PathBuf {
        self.path.join(format!("{edition}.mmdb"))
    }

    /// The MD5 of the file of an edition; `None` if there is no file.
    pub(super) async fn file_md5(&self, edition: &str) -> Result<Option<String>, UpdateError> {
        let path = self.database_path(edition);
        let read = run_blocking(move || match File::open(&path) {
            Ok(file) => md5_of(file).map(Some),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        });
        let read = read.await;
        read.map_err(|error| UpdateError::Io(self.database_path(edition), error))
    }

    /// The installed release of an edition, if its file is unchanged since the installation.
    pub(super) async fn intact_release(
        &self,
        edition: &str,
    ) -> Result<Option<String>, UpdateError> {
        let md5 = self.file_md5(edition).await?;
        let entry = self.edition_state(edition);
        let entry = entry.filter(|entry| md5.is_some() && entry.md5 == md5);
        Ok(entry.and_then(|entry| entry.release.clone()))
    }

    /// Creates a file that is deleted when it is dropped.
    pub fn create_temp_file(&self) -> Result<NamedTempFile, UpdateError> {
        let file = temp_file::create(&self.path);
        file.map_err(|error| UpdateError::Io(self.path.clone(), error))
    }

    /// Unpacks and verifies a download, then replaces the installed database.
    pub(super) async fn install(
        &mut self,
        edition: &str,
        arrival: DownloadedArchive,
    ) -> Result<(), UpdateError> {
        if self.edition_state(edition).is_none() {
            // Saved before the file appears: a file without an entry would never be removed.
            self.state.0.entry(edition.to_owned()).or_default();
            self.save_state()?;
        }
        let (fresh, file) = (self.create_temp_file()?, self.database_path(edition));
        let (release, lock) = (arrival.release.clone(), self.lock.clone());
        let replace = move || {
            let replaced = verify_and_replace(arrival, fresh, &file);
            drop(lock);
            Ok(replaced)
        };
        let md5 = run_blocking(replace).await;
        let md5 = md5.map_err(|error| UpdateError::Io(self.path.clone(), error))??;
        let entry = self.state.0.entry(edition.to_owned()).or_default();
        (entry.md5, entry.release) = (Some(md5), Some(release));
        self.save_state()
    }
}

fn verify_and_replace(
    arrival: DownloadedArchive,
    mut fresh: NamedTempFile,
    file: &Path,
) -> Result<String, UpdateError> {
    let disk = |error| UpdateError::Io(file.to_owned(), error);
    let archive = arrival.archive.reopen().map_err(disk)?;
    let md5 = unpack(archive, arrival.format, &mut fresh).map_err(|error| match error.kind() {
        ErrorKind::InvalidData | ErrorKind::InvalidInput | ErrorKind::UnexpectedEof => {
            UpdateError::InvalidDatabase(DatabaseError::Unreadable(error))
        }
        _ => disk(error),
    })?;
    drop(arrival.archive);
    let announced = arrival.md5.as_ref();
    if announced.is_some_and(|announced| !announced.eq_ignore_ascii_case(&md5)) {
        return Err(UpdateError::ChecksumMismatch);
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

/// Runs blocking work on a thread for it.
pub(super) async fn run_blocking<T: Send + 'static>(
    run: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    spawn_blocking(run).await.map_err(io::Error::other)?
}
