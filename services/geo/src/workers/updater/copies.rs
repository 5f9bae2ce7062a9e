//! Copies of the downloads in PostgreSQL. Where the disk does not last they come back from there,
//! and replicas download once for all of them. While PostgreSQL is away, all goes on without.

use std::io::{Read as _, Write as _};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures::StreamExt as _;
use tokio::time::timeout;

use super::count;
use crate::clients::updates::{InstalledDatabase, LockedDownloadDir, UpdateError};
use crate::store::{MAX_PART_BYTES, Store, StoreError, StoredDownload, UpdaterLock};

/// A database that says nothing for so long is away.
const STATEMENT_TIMEOUT: Duration = Duration::from_secs(30);

/// Keeps copies, and restores them.
pub struct DatabaseBackups {
    store: Store,
    /// The last time it did not get through.
    is_behind: AtomicBool,
}

/// What there is at the beginning of a round.
pub(super) struct BackupRound {
    /// `None` while another replica has it.
    turn: Option<UpdaterLock>,
    kept: Vec<StoredDownload>,
}

impl BackupRound {
    /// Whether it is this replica that asks the publisher.
    pub(super) fn is_ours(&self) -> bool {
        self.turn.is_some()
    }
}

#[derive(Debug, thiserror::Error)]
enum BackupError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the database is silent")]
    Silent,
    #[error(transparent)]
    Folder(#[from] UpdateError),
}

impl DatabaseBackups {
    /// Copies in the database behind `store`.
    #[must_use]
    pub fn new(store: Store) -> Self {
        Self {
            store,
            is_behind: AtomicBool::new(false),
        }
    }

    /// Whether there may be something to do although nothing is due.
    pub(super) fn is_behind(&self) -> bool {
        self.is_behind.load(Ordering::Relaxed)
    }

    /// Takes the turn, if it is free, and looks what there is; `None` where PostgreSQL is away.
    pub(super) async fn begin(&self) -> Option<BackupRound> {
        // In this order: who gets the turn sees what the one before has kept.
        let begun = async {
            let turn = in_time(self.store.turn()).await?;
            let kept = in_time(self.store.downloads()).await?;
            Ok(BackupRound { turn, kept })
        };
        begun.await.map_err(|error| self.told(&error)).ok()
    }

    /// Brings into the folder what is newer in PostgreSQL, and tells which editions that were. A
    /// copy that cannot be used is forgotten.
    pub(super) async fn restore(
        &self,
        round: &mut BackupRound,
        editions: &[String],
        folder: &mut LockedDownloadDir,
    ) -> Vec<String> {
        let mut restored = vec![];
        for kept in std::mem::take(&mut round.kept) {
            let edition = &kept.edition;
            let here = folder.installed(edition);
            if !editions.contains(edition) || !is_news(&kept, here.as_ref()) {
                round.kept.push(kept);
                continue;
            }
            match self.bring_back(&kept, folder).await {
                Ok(()) => {
                    restored.push(edition.clone());
                    round.kept.push(kept);
                }
                Err(BackupError::Folder(error)) if !matches!(error, UpdateError::Disk(..)) => {
                    tracing::warn!(edition, "a copy in PostgreSQL cannot be used: {error}");
                    let forgotten = self.store.forget_download(edition, &kept.md5);
                    let _ = in_time(forgotten).await.map_err(|error| self.told(&error));
                }
                Err(error) => {
                    self.told(&error);
                    round.kept.push(kept);
                }
            }
        }
        restored
    }

    async fn bring_back(
        &self,
        kept: &StoredDownload,
        folder: &mut LockedDownloadDir,
    ) -> Result<(), BackupError> {
        let StoredDownload { edition, .. } = kept;
        let copy = InstalledDatabase {
            release: kept.release.clone(),
            md5: kept.md5.clone(),
            ask_again_at: kept.ask_again_at,
        };
        if folder
            .installed(edition)
            .is_some_and(|here| here.md5 == copy.md5)
        {
            return Ok(folder.ask_again(edition, copy.ask_again_at)?);
        }
        let mut packed = folder.temporary()?;
        let mut parts = std::pin::pin!(self.store.download_parts(edition));
        loop {
            let part = timeout(STATEMENT_TIMEOUT, parts.next()).await;
            let Some(part) = part.map_err(|_| BackupError::Silent)? else {
                break;
            };
            // Into the page cache: this does not block for long.
            let written = packed.write_all(&part?);
            written.map_err(|error| UpdateError::Disk(packed.path().to_owned(), error))?;
        }
        folder.restore(edition, copy, packed).await?;
        tracing::info!(edition, "a database was restored from PostgreSQL");
        count(edition, "restored");
        Ok(())
    }

    /// Keeps what is newer in the folder, and nothing but these editions. Then the turn ends.
    pub(super) async fn keep(
        &self,
        round: BackupRound,
        editions: &[String],
        folder: &LockedDownloadDir,
    ) {
        match self.keep_all(&round, editions, folder).await {
            Ok(()) if self.is_behind.swap(false, Ordering::Relaxed) => {
                tracing::info!("downloads are kept in PostgreSQL again");
            }
            Ok(()) => {}
            Err(error) => self.told(&error),
        }
    }

    async fn keep_all(
        &self,
        round: &BackupRound,
        editions: &[String],
        folder: &LockedDownloadDir,
    ) -> Result<(), BackupError> {
        for edition in editions {
            let Some(here) = folder.installed(edition) else {
                continue;
            };
            let mut kept = round.kept.iter().filter(|kept| kept.edition == *edition);
            match kept.next() {
                Some(kept) if kept.md5 != here.md5 && kept.release > here.release => {}
                Some(kept) if kept.md5 == here.md5 => {
                    if kept.ask_again_at != here.ask_again_at {
                        in_time(self.store.ask_again(edition, here.ask_again_at)).await?;
                    }
                }
                _ => self.keep_one(edition, here, folder).await?,
            }
        }
        for kept in &round.kept {
            if !editions.contains(&kept.edition) {
                in_time(self.store.forget_download(&kept.edition, &kept.md5)).await?;
            }
        }
        Ok(())
    }

    async fn keep_one(
        &self,
        edition: &str,
        here: InstalledDatabase,
        folder: &LockedDownloadDir,
    ) -> Result<(), BackupError> {
        let Some(packed) = folder.pack(edition).await? else {
            return Ok(());
        };
        let disk = |error| UpdateError::Disk(packed.path().to_owned(), error);
        let file = packed.reopen().map_err(disk)?;
        let download = StoredDownload {
            edition: edition.to_owned(),
            release: here.release,
            md5: here.md5,
            ask_again_at: here.ask_again_at,
        };
        let mut keeping = in_time(self.store.keep_download(&download)).await?;
        let mut part = Vec::with_capacity(MAX_PART_BYTES);
        loop {
            part.clear();
            let mut rest = (&file).take(MAX_PART_BYTES as u64);
            if rest.read_to_end(&mut part).map_err(disk)? == 0 {
                break;
            }
            in_time(keeping.add(&part)).await?;
        }
        in_time(keeping.commit()).await
    }

    /// Tells the first of several failures in a row, and tries again soon where that may help.
    fn told(&self, error: &BackupError) {
        let may_pass = !matches!(error, BackupError::Folder(_));
        if !may_pass || !self.is_behind.swap(true, Ordering::Relaxed) {
            tracing::warn!("downloads are not kept in PostgreSQL for now: {error}");
        }
    }
}

/// Whether a copy is something else than what is in the folder, and not older.
fn is_news(kept: &StoredDownload, here: Option<&InstalledDatabase>) -> bool {
    here.is_none_or(|here| {
        if kept.md5 == here.md5 {
            kept.ask_again_at > here.ask_again_at
        } else {
            kept.release >= here.release
        }
    })
}

async fn in_time<T>(step: impl Future<Output = Result<T, StoreError>>) -> Result<T, BackupError> {
    let done = timeout(STATEMENT_TIMEOUT, step).await;
    Ok(done.map_err(|_| BackupError::Silent)??)
}
