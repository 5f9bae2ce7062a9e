//! Backups of downloaded databases.

use chassis::database::StoreError;
use chrono::{DateTime, Utc};
use futures::{Stream, TryStreamExt as _};
use sqlx::{PgConnection, Postgres, Transaction};

use super::Store;

/// Bytes per row of `download_part`.
pub const MAX_PART_BYTES: usize = 1 << 20;

/// A backup, without its content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredDownload {
    /// Such as `GeoLite2-City`.
    pub edition: String,
    /// As named by the publisher. A later release sorts after an earlier one.
    pub release: String,
    /// MD5 of the unpacked database, in hexadecimal.
    pub md5: String,
    /// When to check for a newer release.
    pub ask_again_at: DateTime<Utc>,
}

/// The advisory lock for downloads, which one replica holds at a time. Dropping it releases the
/// lock.
pub struct UpdaterLock {
    _connection: PgConnection,
}

/// Writes a backup in a transaction that replaces the previous one.
pub struct DownloadWriter {
    transaction: Transaction<'static, Postgres>,
    edition: String,
    part_count: i32,
}

impl Store {
    /// Tries to take the lock for downloads; `None` if another replica holds it.
    pub async fn try_lock_updater(&self) -> Result<Option<UpdaterLock>, StoreError> {
        // The lock belongs to the session, so the connection leaves the pool.
        let mut connection = self.pool.acquire().await?.detach();
        let locked = sqlx::query_scalar!(
            r#"select pg_try_advisory_lock(hashtext('geo.download')) as "locked!""#
        );
        let is_ours = locked.fetch_one(&mut connection).await?;
        Ok(is_ours.then(|| UpdaterLock {
            _connection: connection,
        }))
    }

    pub async fn list_downloads(&self) -> Result<Vec<StoredDownload>, StoreError> {
        let rows = sqlx::query_as!(
            StoredDownload,
            "select edition, release, md5, ask_again_at from geo.download"
        );
        Ok(rows.fetch_all(&self.pool).await?)
    }

    /// Streams the content of a backup (gzip) in parts.
    pub fn download_parts(
        &self,
        edition: &str,
    ) -> impl Stream<Item = Result<Vec<u8>, StoreError>> + use<'_> {
        let parts = sqlx::query_scalar!(
            "select content from geo.download_part where edition = $1 order by number",
            edition.to_owned()
        );
        parts.fetch(&self.pool).map_err(StoreError::from)
    }

    /// Starts to write a backup.
    pub async fn replace_download(
        &self,
        download: &StoredDownload,
    ) -> Result<DownloadWriter, StoreError> {
        let mut transaction = self.pool.begin().await?;
        delete_row(&mut transaction, &download.edition, None).await?;
        let kept = sqlx::query!(
            "insert into geo.download (edition, release, md5, ask_again_at)
             values ($1, $2, $3, $4)",
            download.edition,
            download.release,
            download.md5,
            download.ask_again_at,
        );
        kept.execute(&mut *transaction).await?;
        Ok(DownloadWriter {
            transaction,
            edition: download.edition.clone(),
            part_count: 0,
        })
    }

    /// Stores when to check for a newer release.
    pub async fn set_next_check(&self, edition: &str, at: DateTime<Utc>) -> Result<(), StoreError> {
        let noted = sqlx::query!(
            "update geo.download set ask_again_at = $2 where edition = $1",
            edition,
            at
        );
        noted.execute(&self.pool).await?;
        Ok(())
    }

    /// Deletes a backup, unless it was replaced by one with another MD5.
    pub async fn delete_download(&self, edition: &str, md5: &str) -> Result<(), StoreError> {
        let mut connection = self.pool.acquire().await?;
        delete_row(&mut connection, edition, Some(md5)).await
    }
}

async fn delete_row(
    connection: &mut PgConnection,
    edition: &str,
    md5: Option<&str>,
) -> Result<(), StoreError> {
    let forgotten = sqlx::query!(
        "delete from geo.download where edition = $1 and md5 = coalesce($2, md5)",
        edition,
        md5
    );
    forgotten.execute(connection).await?;
    Ok(())
}

impl DownloadWriter {
    /// Appends a part of the content, at most [`MAX_PART_BYTES`] bytes.
    pub async fn write_part(&mut self, content: &[u8]) -> Result<(), StoreError> {
        let added = sqlx::query!(
            "insert into geo.download_part (edition, number, content) values ($1, $2, $3)",
            self.edition,
            self.part_count,
            content,
        );
        added.execute(&mut *self.transaction).await?;
        self.part_count += 1;
        Ok(())
    }

    /// Replaces the previous backup.
    pub async fn commit(self) -> Result<(), StoreError> {
        Ok(self.transaction.commit().await?)
    }
}
