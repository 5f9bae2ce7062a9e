//! Backups of downloaded databases in PostgreSQL. A process with an empty disk restores them, and
//! replicas download each release only once. Updates continue without backups while PostgreSQL is
//! unavailable.

use std::io::{Read as _, Write as _};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use chassis::database::StoreError;
use futures::StreamExt as _;
use tokio::time::timeout;

use crate::clients::updates::{InstalledDatabase, LockedDownloadDir, UpdateError};
use crate::metrics::count_update;
use crate::store::{MAX_PART_BYTES, Store, StoredDownload, UpdaterLock};

const STATEMENT_TIMEOUT: Duration = Duration::from_secs(30);

/// Writes and restores backups.
pub struct DatabaseBackups {
    store: Store,
    /// The last access to PostgreSQL failed.
    needs_retry: AtomicBool,
}

/// The state at the start of an update round.
pub(super) struct BackupRound {
    /// `None` if another replica holds the lock.
    lock: Option<UpdaterLock>,
    backups: Vec<StoredDownload>,
}

impl BackupRound {
    /// Whether this replica downloads from the publisher.
    pub(super) fn holds_lock(&self) -> bool {
        self.lock.is_some()
    }
}

#[derive(Debug, thiserror::Error)]
enum BackupError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("PostgreSQL did not answer within 30 seconds")]
    Timeout,
    #[error(transparent)]
    Update(#[from] UpdateError),
}

impl DatabaseBackups {
    #[must_use]
    pub fn new(store: Store) -> Self {
        Self {
            store,
            needs_retry: AtomicBool::new(false),
        }
    }

    /// Whether a round is needed although no edition is due.
    pub(super) fn needs_retry(&self) -> bool {
        self.needs_retry.load(Ordering::Relaxed)
    }

    /// Tries to take the lock and lists the backups; `None` if PostgreSQL is unavailable.
    pub(super) async fn start_round(&self) -> Option<BackupRound> {
        // The lock comes first, so that the backups of the previous holder are listed.
        let begun = async {
            let turn = with_timeout(self.store.try_lock_updater()).await?;
            let kept = with_timeout(self.store.list_downloads()).await?;
            Ok(BackupRound {
                lock: turn,
                backups: kept,
            })
        };
        begun.await.map_err(|error| self.log_error(&error)).ok()
    }

    /// Restores the backups that are newer than the files in the directory, and returns their
    /// editions. An unusable backup is deleted.
    pub(super) async fn restore(
        &self,
        round: &mut BackupRound,
        editions: &[String],
        folder: &mut LockedDownloadDir,
    ) -> Vec<String> {
        let mut restored = vec![];
        for kept in std::mem::take(&mut round.backups) {
            let edition = &kept.edition;
            let here = folder.installed(edition);
            if !editions.contains(edition) || !is_newer(&kept, here.as_ref()) {
                round.backups.push(kept);
                continue;
            }
            match self.restore_one(&kept, folder).await {
                Ok(()) => {
                    restored.push(edition.clone());
                    round.backups.push(kept);
                }
                Err(BackupError::Update(error)) if !matches!(error, UpdateError::Io(..)) => {
                    tracing::warn!(
                        edition,
                        %error,
                        "a backup in PostgreSQL is unusable; deleting it"
                    );
                    let forgotten = self.store.delete_download(edition, &kept.md5);
                    let _ = with_timeout(forgotten)
                        .await
                        .map_err(|error| self.log_error(&error));
                }
                Err(error) => {
                    self.log_error(&error);
                    round.backups.push(kept);
                }
            }
        }
        restored
    }

    async fn restore_one(
        &self,
        kept: &StoredDownload,
        folder: &mut LockedDownloadDir,
    ) -> Result<(), BackupError> {
        let StoredDownload { edition, .. } = kept;
        let copy = InstalledDatabase {
            release: kept.release.clone(),
            md5: kept.md5.clone(),
            next_check_at: kept.ask_again_at,
        };
        if folder
            .installed(edition)
            .is_some_and(|here| here.md5 == copy.md5)
        {
            return Ok(folder.set_next_check(edition, copy.next_check_at)?);
        }
        let mut packed = folder.create_temp_file()?;
        let mut parts = std::pin::pin!(self.store.download_parts(edition));
        loop {
            let part = timeout(STATEMENT_TIMEOUT, parts.next()).await;
            let Some(part) = part.map_err(|_| BackupError::Timeout)? else {
                break;
            };
            // A small write to the page cache does not block for long.
            let written = packed.write_all(&part?);
            written.map_err(|error| UpdateError::Io(packed.path().to_owned(), error))?;
        }
        folder.restore(edition, copy, packed).await?;
        tracing::info!(edition, "a database was restored from PostgreSQL");
        count_update(edition, "restored");
        Ok(())
    }

    /// Backs up the files that are newer than their backups, deletes the backups of other editions,
    /// and releases the lock.
    pub(super) async fn save(
        &self,
        round: BackupRound,
        editions: &[String],
        folder: &LockedDownloadDir,
    ) {
        match self.save_all(&round, editions, folder).await {
            Ok(()) if self.needs_retry.swap(false, Ordering::Relaxed) => {
                tracing::info!("downloads are backed up to PostgreSQL again");
            }
            Ok(()) => {}
            Err(error) => self.log_error(&error),
        }
    }

    async fn save_all(
        &self,
        round: &BackupRound,
        editions: &[String],
        folder: &LockedDownloadDir,
    ) -> Result<(), BackupError> {
        for edition in editions {
            let Some(here) = folder.installed(edition) else {
                continue;
            };
            let mut kept = round.backups.iter().filter(|kept| kept.edition == *edition);
            match kept.next() {
                Some(kept) if kept.md5 != here.md5 && kept.release > here.release => {}
                Some(kept) if kept.md5 == here.md5 => {
                    if kept.ask_again_at != here.next_check_at {
                        with_timeout(self.store.set_next_check(edition, here.next_check_at))
                            .await?;
                    }
                }
                _ => self.save_one(edition, here, folder).await?,
            }
        }
        for kept in &round.backups {
            if !editions.contains(&kept.edition) {
                with_timeout(self.store.delete_download(&kept.edition, &kept.md5)).await?;
            }
        }
        Ok(())
    }

    async fn save_one(
        &self,
        edition: &str,
        here: InstalledDatabase,
        folder: &LockedDownloadDir,
    ) -> Result<(), BackupError> {
        let Some(packed) = folder.export(edition).await? else {
            return Ok(());
        };
        let disk = |error| UpdateError::Io(packed.path().to_owned(), error);
        let file = packed.reopen().map_err(disk)?;
        let download = StoredDownload {
            edition: edition.to_owned(),
            release: here.release,
            md5: here.md5,
            ask_again_at: here.next_check_at,
        };
        let mut keeping = with_timeout(self.store.replace_download(&download)).await?;
        let mut part = Vec::with_capacity(MAX_PART_BYTES);
        loop {
            part.clear();
            let mut rest = (&file).take(MAX_PART_BYTES as u64);
            if rest.read_to_end(&mut part).map_err(disk)? == 0 {
                break;
            }
            with_timeout(keeping.write_part(&part)).await?;
        }
        with_timeout(keeping.commit()).await
    }

    /// Logs the first of several failures in a row, and requests a retry if it may help.
    fn log_error(&self, error: &BackupError) {
        let may_pass = !matches!(error, BackupError::Update(_));
        if !may_pass || !self.needs_retry.swap(true, Ordering::Relaxed) {
            tracing::warn!(%error, "downloads are not backed up to PostgreSQL");
        }
    }
}

/// Whether a backup differs from the file in the directory and is not older.
fn is_newer(kept: &StoredDownload, here: Option<&InstalledDatabase>) -> bool {
    here.is_none_or(|here| {
        if kept.md5 == here.md5 {
            kept.ask_again_at > here.next_check_at
        } else {
            kept.release >= here.release
        }
    })
}

async fn with_timeout<T>(
    step: impl Future<Output = Result<T, StoreError>>,
) -> Result<T, BackupError> {
    let done = timeout(STATEMENT_TIMEOUT, step).await;
    Ok(done.map_err(|_| BackupError::Timeout)??)
}
