//! Accepting notifications: each with its idempotency key and its deliveries, or nothing.

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, Utc};
use sqlx::PgPool;
use sqlx::types::Json;
use uuid::Uuid;

use super::StoreError;
use super::idempotency_key::{KEPT, Key};
use super::notification::{priority_text, status_text};
use crate::domain::notification::Notification;
use crate::domain::target::Target;

/// What is to be accepted.
#[derive(Clone, Debug)]
pub struct Asked {
    /// The notification.
    pub new: Notification,
    /// Its key, where the caller gave one.
    pub key: Option<Key>,
}

/// What became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Acceptance {
    /// It was stored.
    New,
    /// The same request came before and was stored under this id.
    Before(Uuid),
    /// Another request came before with the same key.
    OtherBody,
}

struct Kept {
    key: String,
    notification_id: Uuid,
    body_sha256: Vec<u8>,
}

/// Stores all of what `subject` asks at `now`, in one statement, and tells for each what became of
/// it. Of requests with the same key at the same moment one is stored; the others wait for it.
pub async fn accept(
    pool: &PgPool,
    subject: &str,
    asked: &[Asked],
    now: DateTime<Utc>,
) -> Result<Vec<Acceptance>, StoreError> {
    let first = first_with_each_key(asked);
    let kept = insert(pool, subject, &first, now).await?;
    let kept: HashMap<_, _> = kept.iter().map(|kept| (kept.key.as_str(), kept)).collect();
    let acceptance = |asked: &Asked| {
        let Some(key) = &asked.key else {
            return Ok(Acceptance::New);
        };
        let missing = StoreError::Corrupt("idempotency_key");
        let kept = kept.get(key.key.as_str()).ok_or(missing)?;
        Ok(if kept.body_sha256 != key.body_sha256 {
            Acceptance::OtherBody
        } else if kept.notification_id == asked.new.id {
            Acceptance::New
        } else {
            Acceptance::Before(kept.notification_id)
        })
    };
    asked.iter().map(acceptance).collect()
}

/// A statement writes no row twice.
fn first_with_each_key(asked: &[Asked]) -> Vec<&Asked> {
    let mut seen = HashSet::new();
    let mut is_first = |key: &Option<Key>| {
        let key = key.as_ref().map(|key| key.key.clone());
        key.is_none_or(|key| seen.insert(key))
    };
    asked.iter().filter(|asked| is_first(&asked.key)).collect()
}

/// Returns what is kept for each key: it, or what came before. The keys are written in their
/// order, so that two lists with the same ones wait for each other and never both.
async fn insert(
    pool: &PgPool,
    subject: &str,
    asked: &[&Asked],
    now: DateTime<Utc>,
) -> Result<Vec<Kept>, StoreError> {
    fn each<'a, T>(asked: &[&'a Asked], part: impl Fn(&'a Notification) -> T) -> Vec<T> {
        asked.iter().map(|asked| part(&asked.new)).collect()
    }
    let keys = |asked: &&Asked| asked.key.as_ref().map(|key| key.key.clone());
    let keys: Vec<_> = asked.iter().map(keys).collect();
    let sums = |asked: &&Asked| asked.key.as_ref().map(|key| key.body_sha256.to_vec());
    let sums: Vec<_> = asked.iter().map(sums).collect();
    let deliveries = each(asked, |new| new.deliveries.iter().map(|d| (new.id, d)));
    let deliveries: Vec<_> = deliveries.into_iter().flatten().collect();
    let targets = || deliveries.iter().map(|(_, (_, target))| target);
    let kept = sqlx::query_as!(
        Kept,
        "with asked as materialized (
             select * from unnest($3::uuid[], $4::text[], $5::text[], $6::text[], $7::json[],
                 $8::text[], $9::text[], $10::text[], $11::text[], $12::text[],
                 $13::timestamptz[], $14::text[], $15::bytea[])
                 as asked (id, event, title, message, data, priority, dedupe_key, status, reason,
                     body, created_at, key, body_sha256)),
         kept as (
             insert into notification.idempotency_key as kept
                 (subject, key, body_sha256, notification_id, created_at)
             select $1, key, body_sha256, id, created_at from asked
             where key is not null order by key
             on conflict on constraint idempotency_key_pkey do update
             set body_sha256 = case when kept.created_at <= $2
                     then excluded.body_sha256 else kept.body_sha256 end,
                 notification_id = case when kept.created_at <= $2
                     then excluded.notification_id else kept.notification_id end,
                 created_at = case when kept.created_at <= $2
                     then excluded.created_at else kept.created_at end
             returning key, notification_id, body_sha256),
         accepted as (
             insert into notification.notification (id, event, title, message, data, priority,
                 dedupe_key, status, reason, created_at)
             select id, event, title, message, data, priority, dedupe_key, status, reason,
                 created_at
             from asked where key is null or id in (select notification_id from kept)
             returning id),
         delivered as (
             insert into notification.delivery
                 (id, notification_id, channel, recipient, body, due_at, created_at)
             select new.id, asked.id, channel, recipient, body, created_at, created_at
             from unnest($16::uuid[], $17::uuid[], $18::text[], $19::text[])
                 as new (id, notification_id, channel, recipient)
             join asked on asked.id = new.notification_id
             where asked.id in (select id from accepted))
         select key, notification_id, body_sha256 from kept",
        subject,
        now - KEPT,
        &each(asked, |new| new.id),
        each(asked, |new| new.command.event.as_str()) as _,
        each(asked, |new| new.command.title.as_deref()) as _,
        each(asked, |new| new.command.message.as_deref()) as _,
        each(asked, |new| Json(&new.command.data)) as _,
        each(asked, |new| priority_text(new.command.priority)) as _,
        each(asked, |new| new.command.dedupe_key.as_deref()) as _,
        each(asked, |new| status_text(new.status)) as _,
        each(asked, |new| new.reason) as _,
        each(asked, |new| new.text.as_str()) as _,
        &each(asked, |new| new.created_at),
        &keys as &[Option<String>],
        &sums as &[Option<Vec<u8>>],
        &deliveries
            .iter()
            .map(|(_, (id, _))| *id)
            .collect::<Vec<_>>(),
        &deliveries.iter().map(|(of, _)| *of).collect::<Vec<_>>(),
        targets().map(|t| t.channel().as_str()).collect::<Vec<_>>() as _,
        targets().map(Target::address).collect::<Vec<_>>() as _,
    )
    .fetch_all(pool)
    .await?;
    Ok(kept)
}
