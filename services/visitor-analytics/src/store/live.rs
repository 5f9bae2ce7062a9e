//! Notifies all processes of recorded visits and erased visitors (`listen` and `notify`).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD as BASE64;
use chassis::database::StoreError;
use chrono::{DateTime, TimeDelta, Utc};
use common::visitor_analytics::Visit;
use sqlx::postgres::{PgListener, PgPoolOptions};
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

use super::visit::VisitKey;
use crate::store::VisitStore;

/// Every listener holds this lock, shared, as long as its connection lives.
const LISTENER_LOCK: (i32, i32) = (0x7e7c, 0);
const NOTIFY_CHANNEL: &str = "visitor_analytics_live";
/// Notifications name erased visitors by the hashes of their ids.
const ERASED_CHANNEL: &str = "visitor_analytics_erased";
/// Hashes per payload, of 8 bytes each.
const MAX_NOTIFY_HASHES: usize = 700;
/// A payload has less than 8,000 bytes (PostgreSQL, NOTIFY); a visit takes 32.
const MAX_NOTIFY_VISITS: usize = 240;
/// Stands for visits that do not fit in the notifications.
const OVERFLOW_PAYLOAD: &str = "!";
/// Visits that are older when they are recorded are not streamed live.
pub const MAX_LIVE_AGE: TimeDelta = TimeDelta::minutes(5);

/// A connection that receives the notifications.
#[derive(Debug)]
pub struct VisitListener(PgListener);

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum VisitNotice {
    /// These visits were recorded.
    Visits(Vec<(Uuid, DateTime<Utc>)>),
    /// Visits were recorded that are not listed.
    Overflow,
    /// Visitors were erased; identified by the hashes of their ids.
    Erased(Vec<u64>),
}

/// Notifies listeners of erased visitors once the transaction is committed.
pub(super) async fn notify_erased(
    connection: &mut PgConnection,
    visitors: &[u64],
) -> Result<(), StoreError> {
    let payload = |hashes: &[u64]| {
        let bytes: Vec<u8> = hashes.iter().flat_map(|hash| hash.to_be_bytes()).collect();
        BASE64.encode(bytes)
    };
    let payloads: Vec<String> = visitors.chunks(MAX_NOTIFY_HASHES).map(payload).collect();
    sqlx::query!(
        "select pg_notify($1, payload) from unnest($2::text[]) payload",
        ERASED_CHANNEL,
        &payloads
    )
    .execute(connection)
    .await?;
    Ok(())
}

fn parse_erased(payload: &str) -> Option<VisitNotice> {
    let bytes = BASE64.decode(payload).ok()?;
    let (hashes, []) = bytes.as_chunks::<8>() else {
        return None;
    };
    let hashes = hashes.iter().map(|hash| u64::from_be_bytes(*hash));
    Some(VisitNotice::Erased(hashes.collect()))
}

/// Notices of recorded visits, from and to all replicas.
#[derive(Clone, Debug)]
pub struct LiveFeed {
    pub(super) pool: PgPool,
    pub(super) visits: VisitStore,
}

impl LiveFeed {
    /// Whether any process listens.
    pub async fn has_listeners(&self) -> Result<bool, StoreError> {
        let has_listeners = sqlx::query_scalar!(
            r#"select exists (select from pg_locks
               where locktype = 'advisory' and classid::int8 = $1 and objid::int8 = $2
                 and objsubid = 2 and granted
                 and database = (select oid from pg_database where datname = current_database()))
               as "heard!""#,
            i64::from(LISTENER_LOCK.0),
            i64::from(LISTENER_LOCK.1),
        );
        Ok(has_listeners.fetch_one(&self.pool).await?)
    }

    /// Notifies listeners of recorded visits. `lost` says that further visits are not listed.
    pub async fn notify(&self, visits: &[VisitKey], lost: bool) -> Result<(), StoreError> {
        let mut payloads: Vec<String> = visits
            .chunks(MAX_NOTIFY_VISITS)
            .map(encode_visits)
            .collect();
        if lost {
            payloads.push(OVERFLOW_PAYLOAD.to_owned());
        }
        sqlx::query!(
            "select pg_notify($1, payload) from unnest($2::text[]) payload",
            NOTIFY_CHANNEL,
            &payloads
        )
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// Starts to listen, over a separate connection.
    pub async fn listen(&self) -> Result<VisitListener, StoreError> {
        let options = (*self.pool.connect_options()).clone();
        let single_connection = PgPoolOptions::new().max_connections(1);
        let mut listener =
            PgListener::connect_with(&single_connection.connect_lazy_with(options)).await?;
        // A listener may have missed notifications after a lost connection, so it starts again.
        listener.eager_reconnect(false);
        listener
            .listen_all([NOTIFY_CHANNEL, ERASED_CHANNEL])
            .await?;
        sqlx::query!(
            "select pg_advisory_lock_shared($1, $2)",
            LISTENER_LOCK.0,
            LISTENER_LOCK.1
        )
        .execute(&mut listener)
        .await?;
        Ok(VisitListener(listener))
    }

    /// The visits with these keys, in the order in which they were recorded.
    pub async fn notified_visits(&self, keys: &[VisitKey]) -> Result<Vec<Visit>, StoreError> {
        let mut visits = self.visits.by_key(keys).await?;
        visits.sort_by_key(|visit| (visit.received_at, visit.id));
        Ok(visits)
    }
}

impl VisitListener {
    /// Waits for the next notification. After an error the connection is closed.
    pub async fn recv(&mut self) -> Result<VisitNotice, StoreError> {
        let notification = self.0.try_recv().await?;
        let notification = notification.ok_or(StoreError::Timeout)?;
        let notice = if notification.channel() == ERASED_CHANNEL {
            parse_erased(notification.payload())
        } else {
            parse_visits(notification.payload())
        };
        notice.ok_or(StoreError::Corrupt("the payload of a notification"))
    }
}

fn encode_visits(visits: &[VisitKey]) -> String {
    let mut bytes = Vec::with_capacity(visits.len() * 24);
    for (id, moment) in visits {
        bytes.extend(id.as_bytes());
        bytes.extend(moment.timestamp_micros().to_be_bytes());
    }
    BASE64.encode(bytes)
}

fn parse_visits(payload: &str) -> Option<VisitNotice> {
    if payload == OVERFLOW_PAYLOAD {
        return Some(VisitNotice::Overflow);
    }
    let bytes = BASE64.decode(payload).ok()?;
    let (visits, []) = bytes.as_chunks::<24>() else {
        return None;
    };
    let visit = |bytes: &[u8; 24]| {
        let (id, moment) = bytes.split_first_chunk::<16>()?;
        let moment = i64::from_be_bytes(moment.try_into().ok()?);
        Some((
            Uuid::from_bytes(*id),
            DateTime::from_timestamp_micros(moment)?,
        ))
    };
    let visits: Option<Vec<_>> = visits.iter().map(visit).collect();
    visits.map(VisitNotice::Visits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_encoded_payload_is_parsed() {
        let at = DateTime::from_timestamp_micros(1_795_176_000_123_456).unwrap();
        let visits: Vec<_> = (0..MAX_NOTIFY_VISITS as u128)
            .map(|n| (Uuid::from_u128(n), at))
            .collect();
        let text = encode_visits(&visits);
        assert!(text.len() < 8_000);
        assert_eq!(parse_visits(&text), Some(VisitNotice::Visits(visits)));
        assert_eq!(parse_visits(OVERFLOW_PAYLOAD), Some(VisitNotice::Overflow));
        assert_eq!(parse_visits("AAAA"), None);
        assert_eq!(parse_visits("?"), None);
    }
}
