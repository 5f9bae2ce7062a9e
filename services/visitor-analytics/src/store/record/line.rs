//! The connection over which visits are recorded, and the lease that comes with it.
//!
//! Whoever changes sessions holds the lease: everybody together, each transaction for itself, or,
//! where one process records without a pause, this process alone for as long as nobody else asks
//! for it. Alone it remembers sessions instead of reading them, and most batches are one statement.
//! The lease is a lock of the connection that records, so it is lost with it, and never before.
//! PostgreSQL ends the connection of a process that is frozen or cut off, so that others wait for
//! ten seconds at most.

use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use sqlx::postgres::PgConnectOptions;
use sqlx::{Connection as _, PgConnection};
use tokio::time::timeout;

use super::locks::WRITER_LEASE_LOCK;
use super::recent::SessionCache;
use crate::store::StoreError;
use crate::store::session::VisitorKey;

/// A connection must be made within this time.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// A connection that was not used for so long may have died meanwhile; and who pauses that long
/// does not need the lease.
const MAX_CONNECTION_IDLE: Duration = Duration::from_secs(1);
/// Batches without a pause before the lease is asked for.
const BATCHES_BEFORE_LEASE: u32 = 20;
/// How long the lease is left alone after somebody else had it or wanted it.
const LEASE_BACKOFF: Duration = Duration::from_mins(1);
/// A statement takes no longer, including its wait for others' locks.
const STATEMENT_TIMEOUT: (&str, &str) = ("statement_timeout", "10s");
/// How long the lease is kept without a visit.
const LEASE_IDLE_TIMEOUT: Duration = Duration::from_secs(5);

/// What makes and keeps the connection.
#[derive(Debug)]
pub(in crate::store) struct WriterLease {
    options: PgConnectOptions,
    /// Taken out while it is used: what breaks off in the middle is closed, and the lease with it.
    line: Option<WriterConnection>,
    left_alone_until: Option<Instant>,
}

/// A connection, with what is remembered while it holds the lease.
#[derive(Debug)]
pub(in crate::store) struct WriterConnection {
    pub(in crate::store) connection: PgConnection,
    pub(super) recent: Option<SessionCache>,
    used_at: Instant,
    streak: u32,
}

impl WriterLease {
    pub(in crate::store) fn new(options: PgConnectOptions) -> Self {
        Self {
            options: options.options([STATEMENT_TIMEOUT]),
            line: None,
            left_alone_until: None,
        }
    }

    /// The connection; a batch is recorded next.
    pub(super) async fn take(
        &mut self,
        now: DateTime<Utc>,
    ) -> Result<WriterConnection, StoreError> {
        let mut line = self.connected().await?;
        if line.recent.is_none() && line.streak >= BATCHES_BEFORE_LEASE && !self.is_left_alone() {
            line.recent = lease(&mut line.connection, now).await?;
            if line.recent.is_none() {
                self.leave_alone();
            }
        }
        line.used_at = Instant::now();
        line.streak = line.streak.saturating_add(1);
        Ok(line)
    }

    /// The connection, if it holds the lease.
    pub(in crate::store) fn take_leased(&mut self) -> Option<WriterConnection> {
        self.line.take_if(|line| line.recent.is_some())
    }

    /// The connection is sound, and its transaction over.
    pub(in crate::store) fn put_back(&mut self, line: WriterConnection) {
        self.line = Some(line);
    }

    /// To be called a few times a second: gives the lease to others who want it.
    pub(in crate::store) async fn tend(&mut self, now: DateTime<Utc>) -> Result<(), StoreError> {
        let Some(mut line) = self.line.take() else {
            return Ok(());
        };
        if let Some(recent) = &mut line.recent {
            recent.age(now);
            let is_idle = line.used_at.elapsed() > LEASE_IDLE_TIMEOUT;
            if is_idle || is_wanted(&mut line.connection).await? {
                line.give_back().await?;
                self.leave_alone();
            }
        }
        self.line = Some(line);
        Ok(())
    }

    async fn connected(&mut self) -> Result<WriterConnection, StoreError> {
        if let Some(mut line) = self.line.take() {
            if line.used_at.elapsed() <= MAX_CONNECTION_IDLE {
                return Ok(line);
            }
            line.streak = 0;
            let ping = timeout(CONNECT_TIMEOUT, line.connection.ping()).await;
            if matches!(ping, Ok(Ok(()))) {
                return Ok(line);
            }
        }
        let connection = timeout(CONNECT_TIMEOUT, PgConnection::connect_with(&self.options)).await;
        Ok(WriterConnection {
            connection: connection.map_err(|_| StoreError::Away(sqlx::Error::PoolTimedOut))??,
            recent: None,
            used_at: Instant::now(),
            streak: 0,
        })
    }

    fn is_left_alone(&self) -> bool {
        let until = self.left_alone_until;
        until.is_some_and(|until| Instant::now() < until)
    }

    fn leave_alone(&mut self) {
        self.left_alone_until = Some(Instant::now() + LEASE_BACKOFF);
    }
}

impl WriterConnection {
    /// These visitors' sessions have changed.
    pub(in crate::store) fn forget(&mut self, visitors: &[VisitorKey]) {
        if let Some(recent) = &mut self.recent {
            recent.forget(visitors);
        }
    }

    /// Lets others change sessions; what is remembered of them holds no longer.
    pub(super) async fn give_back(&mut self) -> Result<(), StoreError> {
        if self.recent.take().is_none() {
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

/// Takes the lease if nobody has it. A process that hangs while it has it loses its connection.
async fn lease(
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
    SessionCache::read(connection, now).await.map(Some)
}

/// Whether somebody waits for the lease; or it is not this connection's, which happens where a
/// pooler lends connections by the transaction.
async fn is_wanted(connection: &mut PgConnection) -> Result<bool, StoreError> {
    let wanted = sqlx::query_scalar!(
        r#"select (bool_or(not granted) or not bool_or(granted and pid = pg_backend_pid()))
               is not false as "wanted!"
           from pg_locks
           where locktype = 'advisory' and classid::int8 = $1 and objid::int8 = $2
             and objsubid = 2
             and database = (select oid from pg_database where datname = current_database())"#,
        i64::from(WRITER_LEASE_LOCK.0),
        i64::from(WRITER_LEASE_LOCK.1),
    );
    Ok(wanted.fetch_one(connection).await?)
}
