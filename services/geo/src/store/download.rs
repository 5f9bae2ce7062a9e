//! Copies of downloaded databases.

use chrono::{DateTime, Utc};
use futures::{Stream, TryStreamExt as _};
use sqlx::{PgConnection, Postgres, Transaction};

use super::{Store, StoreError};

/// The most bytes that a part of a copy has.
pub const MAX_PART_BYTES: usize = 1 << 20;

/// What is known about a copy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredDownload {
    /// Such as `GeoLite2-City`.
    pub edition: String,
    /// In its publisher's words; a later one sorts after an earlier one.
    pub release: String,
    /// Of the database itself, in hexadecimal.
    pub md5: String,
    /// When to ask for something newer.
    pub ask_again_at: DateTime<Utc>,
}

/// The right to ask publishers, which one replica has at a time; dropping it gives it back.
pub struct UpdaterLock {
    _connection: PgConnection,
}

/// A copy that is being written. It takes the place of the one before when it is committed.
pub struct DownloadWriter {
    transaction: Transaction<'static, Postgres>,
    edition: String,
    parts: i32,
}

impl Store {
    /// The right to ask publishers; `None` while another replica has it.
    pub async fn turn(&self) -> Result<Option<UpdaterLock>, StoreError> {
        // The lock is the connection's, which nobody else may use then.
        let mut connection = self.pool.acquire().await?.detach();
        let locked = sqlx::query_scalar!(
            r#"select pg_try_advisory_lock(hashtext('geo.download')) as "locked!""#
        );
        let is_ours = locked.fetch_one(&mut connection).await?;
        Ok(is_ours.then(|| UpdaterLock {
            _connection: connection,
        }))
    }

    /// Every copy there is.
    pub async fn downloads(&self) -> Result<Vec<StoredDownload>, StoreError> {
        let rows = sqlx::query_as!(
            StoredDownload,
            "select edition, release, md5, ask_again_at from geo.download"
        );
        Ok(rows.fetch_all(&self.pool).await?)
    }

    /// A copy's content in gzip, part after part as it is read.
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

    /// Begins to keep a copy.
    pub async fn keep_download(
        &self,
        download: &StoredDownload,
    ) -> Result<DownloadWriter, StoreError> {
        let mut transaction = self.pool.begin().await?;
        forget(&mut transaction, &download.edition, None).await?;
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
            parts: 0,
        })
    }

    /// Remembers when to ask for something newer than a copy.
    pub async fn ask_again(&self, edition: &str, at: DateTime<Utc>) -> Result<(), StoreError> {
        let noted = sqlx::query!(
            "update geo.download set ask_again_at = $2 where edition = $1",
            edition,
            at
        );
        noted.execute(&self.pool).await?;
        Ok(())
    }

    /// Forgets a copy, unless it is another by now.
    pub async fn forget_download(&self, edition: &str, md5: &str) -> Result<(), StoreError> {
        let mut connection = self.pool.acquire().await?;
        forget(&mut connection, edition, Some(md5)).await
    }
}

async fn forget(
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
    /// Adds the next part of the content, at most [`MAX_PART_BYTES`] bytes.
    pub async fn add(&mut self, content: &[u8]) -> Result<(), StoreError> {
        let added = sqlx::query!(
            "insert into geo.download_part (edition, number, content) values ($1, $2, $3)",
            self.edition,
            self.parts,
            content,
        );
        added.execute(&mut *self.transaction).await?;
        self.parts += 1;
        Ok(())
    }

    /// Puts it in the place of the one before.
    pub async fn commit(self) -> Result<(), StoreError> {
        Ok(self.transaction.commit().await?)
    }
}
