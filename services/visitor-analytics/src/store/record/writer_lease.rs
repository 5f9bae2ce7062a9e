//! The connection that records visits, and the writer lease that it may hold.
//!
//! Every writer of sessions holds the lease. Usually all processes share it, each transaction for
//! itself. A process that records without pauses takes it exclusively, until another process waits
//! for it. With the exclusive lease, the process caches sessions instead of reading them, and most
//! batches are one statement. The lease is an advisory lock of the recording connection, so it ends
//! exactly with that connection. PostgreSQL closes the connection of a process that hangs or is
//! unreachable, so that others wait ten seconds at most.

use std::time::{Duration, Instant};

use chassis::database::StoreError;
use chrono::{DateTime, Utc};
use sqlx::postgres::PgConnectOptions;
use sqlx::{Connection as _, PgConnection};
use tokio::time::timeout;

use super::locks::WRITER_LEASE_LOCK;
use super::session_cache::SessionCache;
use crate::store::session::VisitorKey;

/// The maximum time to connect.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// A connection that was idle for longer is checked before use. A process that pauses this long
/// does not need the lease.
const MAX_CONNECTION_IDLE: Duration = Duration::from_secs(1);
/// Batches without a pause before the process requests the lease.
const BATCHES_BEFORE_LEASE: u32 = 20;
/// How long the process does not request the lease after another process held it or waited for it.
const LEASE_BACKOFF: Duration = Duration::from_mins(1);
/// Bounds every statement, including its wait for locks.
const STATEMENT_TIMEOUT: (&str, &str) = ("statement_timeout", "10s");
/// How long the lease is kept without visits.
const LEASE_IDLE_TIMEOUT: Duration = Duration::from_secs(5);

#[derive(Debug)]
pub(in crate::store) struct WriterLease {
    options: PgConnectOptions,
    /// Taken out while in use: if the future is dropped, the connection is closed and its lease
    /// ends.
    connection: Option<WriterConnection>,
    backoff_until: Option<Instant>,
}

/// A connection, with cached sessions while it holds the lease.
#[derive(Debug)]
pub(in crate::store) struct WriterConnection {
    pub(in crate::store) connection: PgConnection,
    pub(super) session_cache: Option<SessionCache>,
    last_used_at: Instant,
    consecutive_batches: u32,
}

impl WriterLease {
    pub(in crate::store) fn new(options: PgConnectOptions) -> Self {
        Self {
            options: options.options([STATEMENT_TIMEOUT]),
            connection: None,
            backoff_until: None,
        }
    }

    /// Takes the connection to record a batch. Requests the lease if the process records without
    /// pauses.
    pub(super) async fn take(
        &mut self,
        now: DateTime<Utc>,
    ) -> Result<WriterConnection, StoreError> {
        let mut writer = self.connect().await?;
        if writer.session_cache.is_none()
            && writer.consecutive_batches >= BATCHES_BEFORE_LEASE
            && !self.is_backing_off()
        {
            writer.session_cache = try_acquire_lease(&mut writer.connection, now).await?;
            if writer.session_cache.is_none() {
                self.back_off();
            }
        }
        writer.last_used_at = Instant::now();
        writer.consecutive_batches = writer.consecutive_batches.saturating_add(1);
        Ok(writer)
    }

    /// Takes the connection if it holds the lease.
    pub(in crate::store) fn take_leased(&mut self) -> Option<WriterConnection> {
        self.connection
            .take_if(|writer| writer.session_cache.is_some())
    }

    /// Returns a connection that works and has no open transaction.
    pub(in crate::store) fn put_back(&mut self, writer: WriterConnection) {
        self.connection = Some(writer);
    }

    /// Must be called a few times per second: releases the lease if another process waits for it.
    pub(in crate::store) async fn maintain(
        &mut self,
        now: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        let Some(mut writer) = self.connection.take() else {
            return Ok(());
        };
        if let Some(cache) = &mut writer.session_cache {
            cache.evict(now);
            let is_idle = writer.last_used_at.elapsed() > LEASE_IDLE_TIMEOUT;
            if is_idle || is_contended(&mut writer.connection).await? {
                writer.release_lease().await?;
                self.back_off();
            }
        }
        self.connection = Some(writer);
        Ok(())
    }

    async fn connect(&mut self) -> Result<WriterConnection, StoreError> {
        if let Some(mut writer) = self.connection.take() {
            if writer.last_used_at.elapsed() <= MAX_CONNECTION_IDLE {
                return Ok(writer);
            }
            writer.consecutive_batches = 0;
            let ping = timeout(CONNECT_TIMEOUT, writer.connection.ping()).await;
            if matches!(ping, Ok(Ok(()))) {
                return Ok(writer);
            }
        }
        let connection = timeout(CONNECT_TIMEOUT, PgConnection::connect_with(&self.options)).await;
        Ok(WriterConnection {
            connection: connection
                .map_err(|_| StoreError::Unavailable(sqlx::Error::PoolTimedOut))??,
            session_cache: None,
            last_used_at: Instant::now(),
            consecutive_batches: 0,
        })
    }

    fn is_backing_off(&self) -> bool {
        let until = self.backoff_until;
        until.is_some_and(|until| Instant::now() < until)
    }

    fn back_off(&mut self) {
        self.backoff_until = Some(Instant::now() + LEASE_BACKOFF);
    }
}

impl WriterConnection {
    /// Removes visitors from the cache, whose sessions have changed.
    pub(in crate::store) fn invalidate(&mut self, visitors: &[VisitorKey]) {
        if let Some(cache) = &mut self.session_cache {
            cache.invalidate(visitors);
        }
    }

    /// Releases the lease and drops the cached sessions.
    pub(super) async fn release_lease(&mut self) -> Result<(), StoreError> {
        if self.session_cache.take().is_none() {
            return Ok(());
        }
        sqlx::query!(
            "select pg_advisory_unlock($1, $2), set_config('idle_session_timeout', '0', false)",
            WRITER_LEASE_LOCK.0,
            WRITER_LEASE_LOCK.1,
        )
        .fetch_one(&mut self.connection)
        .await?;
        Ok(())
    }
}

/// Requests the lease without waiting. A process that hangs while it holds the lease loses its
/// connection.
async fn try_acquire_lease(
    connection: &mut PgConnection,
    now: DateTime<Utc>,
) -> Result<Option<SessionCache>, StoreError> {
    let leased = sqlx::query_scalar!(
        r#"select pg_try_advisory_lock($1, $2) as "leased!""#,
        WRITER_LEASE_LOCK.0,
        WRITER_LEASE_LOCK.1,
    );
    if !leased.fetch_one(&mut *connection).await? {
        return Ok(None);
    }
    sqlx::query!("select set_config('idle_session_timeout', '5s', false)")
        .fetch_one(&mut *connection)
        .await?;
    SessionCache::load(connection, now).await.map(Some)
}

/// Whether another process waits for the lease, or this connection no longer holds it. A connection
/// pooler in transaction mode causes the latter.
async fn is_contended(connection: &mut PgConnection) -> Result<bool, StoreError> {
    let is_contended = sqlx::query_scalar!(
        r#"select (bool_or(not granted) or not bool_or(granted and pid = pg_backend_pid()))
               is not false as "wanted!"
           from pg_locks
           where locktype = 'advisory' and classid::int8 = $1 and objid::int8 = $2
             and objsubid = 2
             and database = (select oid from pg_database where datname = current_database())"#,
        i64::from(WRITER_LEASE_LOCK.0),
        i64::from(WRITER_LEASE_LOCK.1),
    );
    Ok(is_contended.fetch_one(connection).await?)
}
