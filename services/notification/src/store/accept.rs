//! Accepting notifications: each with its idempotency key and its deliveries, or nothing.

use std::collections::{HashMap, HashSet};

use chassis::database;
use chrono::{DateTime, Utc};
use common::clock::Clock;
use sqlx::types::Json;
use sqlx::{PgExecutor, PgPool};
use uuid::Uuid;

use super::idempotency_key::{KEPT, Key};
use super::notification::status_text;
use super::{StoreError, gates};
use crate::domain::decision::Draft;
use crate::domain::finding::Finding;
use crate::domain::notification::{Notification, priority_text};

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

/// What is kept for an idempotency key.
pub(super) struct Kept {
    subject: String,
    key: String,
    notification_id: Uuid,
    body_sha256: Vec<u8>,
}

/// What a statement that stores says.
#[derive(Default)]
pub(super) struct Stored {
    kept: Vec<Kept>,
    /// Deliveries to addresses that nothing is sent to, and why.
    suppressed: HashMap<Uuid, String>,
}

/// What is kept for a key, or a delivery that is suppressed.
struct Line {
    subject: Option<String>,
    key: Option<String>,
    notification_id: Option<Uuid>,
    body_sha256: Option<Vec<u8>>,
    suppressed: Option<Uuid>,
    why: Option<String>,
}

impl From<Vec<Line>> for Stored {
    fn from(lines: Vec<Line>) -> Self {
        let mut stored = Self::default();
        for line in lines {
            if let (Some(subject), Some(key), Some(notification_id), Some(body_sha256)) = (
                line.subject,
                line.key,
                line.notification_id,
                line.body_sha256,
            ) {
                stored.kept.push(Kept {
                    subject,
                    key,
                    notification_id,
                    body_sha256,
                });
            }
            stored.suppressed.extend(line.suppressed.zip(line.why));
        }
        stored
    }
}

/// Connections for [`accept`], whose statements are planned once.
#[must_use]
pub fn lane(pool: &PgPool) -> PgPool {
    // One is in use at a time; another one is there where that one hangs.
    database::pool(database::by_keys(pool), 2)
}

/// Stores all of what is asked now, at once or not at all, and tells for each what became of it. Of
/// requests with the same key at the same moment one is stored; the others wait for it. Gates are
/// passed and digests joined on the way, which may close branches of what is stored.
pub async fn accept(
    pool: &PgPool,
    asked: &mut [Asked],
    clock: &Clock,
) -> Result<Vec<Acceptance>, StoreError> {
    let now = clock.now();
    let windows = |asked: &Asked| {
        let mut all = asked.new.branches.iter();
        all.any(|branch| !branch.gates.is_empty() || branch.gather.is_some())
    };
    let stored = if asked.iter().any(windows) {
        let open: Vec<_> = asked.iter().map(|a| a.new.branches.clone()).collect();
        let stored = in_windows(pool, asked, clock).await;
        if stored.is_err() {
            // Nothing was counted after all.
            let all = asked.iter_mut().zip(open);
            all.for_each(|(asked, open)| asked.new.branches = open);
        }
        stored?
    } else {
        insert(pool, &first_with_each_key(asked), now).await?
    };
    for asked in &mut *asked {
        asked.new.suppress(&stored.suppressed);
    }
    let kept = stored.kept.iter();
    let kept: HashMap<_, _> = kept
        .map(|kept| ((kept.subject.as_str(), kept.key.as_str()), kept))
        .collect();
    let each = asked.iter();
    each.map(|asked| acceptance(asked, &kept)).collect()
}

fn acceptance(
    asked: &Asked,
    kept: &HashMap<(&str, &str), &Kept>,
) -> Result<Acceptance, StoreError> {
    let Some(key) = &asked.key else {
        return Ok(Acceptance::New);
    };
    let missing = StoreError::Corrupt("idempotency_key");
    let kept = kept.get(&key.name()).ok_or(missing)?;
    Ok(if kept.body_sha256 != key.body_sha256 {
        Acceptance::OtherBody
    } else if kept.notification_id == asked.new.id {
        Acceptance::New
    } else {
        Acceptance::Before(kept.notification_id)
    })
}

/// Where something is counted or gathered it takes a transaction. What came before is not counted
/// again.
async fn in_windows(
    pool: &PgPool,
    asked: &mut [Asked],
    clock: &Clock,
) -> Result<Stored, StoreError> {
    let now = clock.now();
    let mut transaction = pool.begin().await?;
    let keys: Vec<_> = asked.iter().filter_map(|a| a.key.as_ref()).collect();
    let before = sqlx::query!(
        "select k.subject, k.key from unnest($1::text[], $2::text[]) as asked (subject, key)
         join notification.idempotency_key k using (subject, key) where k.created_at > $3",
        &keys.iter().map(|k| k.subject.clone()).collect::<Vec<_>>(),
        &keys.iter().map(|k| k.key.clone()).collect::<Vec<_>>(),
        now - KEPT,
    );
    let before = before.fetch_all(&mut *transaction).await?.into_iter();
    let mut seen: HashSet<_> = before.map(|row| (row.subject, row.key)).collect();
    let mut new: Vec<_> = asked
        .iter_mut()
        .filter(|asked| {
            let key = asked.key.as_ref();
            key.is_none_or(|key| seen.insert((key.subject.clone(), key.key.clone())))
        })
        .map(|asked| &mut asked.new)
        .collect();
    gates::pass(&mut transaction, &mut new, now).await?;
    gates::gather(&mut transaction, &mut new, clock).await?;
    let first = first_with_each_key(asked);
    let stored = insert(&mut *transaction, &first, now).await?;
    let ids: HashSet<_> = stored.kept.iter().map(|k| k.notification_id).collect();
    let is_new = |asked: &&&Asked| asked.key.is_none() || ids.contains(&asked.new.id);
    let new: Vec<_> = first
        .iter()
        .filter(is_new)
        .map(|asked| &asked.new)
        .collect();
    gates::keep_items(&mut transaction, &new).await?;
    transaction.commit().await?;
    Ok(stored)
}

/// A statement writes no row twice.
fn first_with_each_key(asked: &[Asked]) -> Vec<&Asked> {
    let mut seen = HashSet::new();
    let mut is_first = |key: &Option<Key>| {
        let key = key.as_ref();
        key.is_none_or(|key| seen.insert((key.subject.clone(), key.key.clone())))
    };
    asked.iter().filter(|asked| is_first(&asked.key)).collect()
}

fn of_each<'a, T>(drafts: &[(&Asked, &'a Draft)], part: impl Fn(&'a Draft) -> T) -> Vec<T> {
    drafts.iter().map(|(_, draft)| part(draft)).collect()
}

fn each_key<T>(asked: &[&Asked], part: impl Fn(&Key) -> T) -> Vec<Option<T>> {
    let part = |asked: &&Asked| asked.key.as_ref().map(&part);
    asked.iter().map(part).collect()
}

fn each<'a, T>(asked: &[&'a Asked], part: impl Fn(&'a Notification) -> T) -> Vec<T> {
    asked.iter().map(|asked| part(&asked.new)).collect()
}

/// Returns what is kept for each key: it, or what came before. The keys are written in their
/// order, so that two lists with the same ones wait for each other and never both.
pub(super) async fn insert(
    executor: impl PgExecutor<'_>,
    asked: &[&Asked],
    now: DateTime<Utc>,
) -> Result<Stored, StoreError> {
    let subjects = each_key(asked, |key| key.subject.clone());
    let keys = each_key(asked, |key| key.key.clone());
    let sums = each_key(asked, |key| key.body_sha256.to_vec());
    let drafts = asked.iter();
    let drafts = drafts.flat_map(|asked| asked.new.deliveries().map(move |draft| (*asked, draft)));
    let drafts: Vec<_> = drafts.collect();
    let findings = each(asked, |new| {
        let all: Vec<&Finding> = new.findings().collect();
        (!all.is_empty()).then_some(Json(all))
    });
    let rows = sqlx::query_as!(
        Line,
        r#"with asked as materialized (
             select * from unnest($3::uuid[], $4::text[], $5::text[], $6::text[], $7::json[],
                 $8::text[], $9::text[], $10::text[], $11::text[], $12::json[],
                 $13::timestamptz[], $1::text[], $14::text[], $15::bytea[])
                 as asked (id, event, title, message, data, priority, dedupe_key, status, reason,
                     findings, created_at, subject, key, body_sha256)),
         kept as (
             insert into notification.idempotency_key as kept
                 (subject, key, body_sha256, notification_id, created_at)
             select subject, key, body_sha256, id, created_at from asked
             where key is not null order by subject, key
             on conflict on constraint idempotency_key_pkey do update
             set body_sha256 = case when kept.created_at <= $2
                     then excluded.body_sha256 else kept.body_sha256 end,
                 notification_id = case when kept.created_at <= $2
                     then excluded.notification_id else kept.notification_id end,
                 created_at = case when kept.created_at <= $2
                     then excluded.created_at else kept.created_at end
             returning subject, key, notification_id, body_sha256),
         wanted as materialized (
             select new.id, notification_id, channel, recipient, title, body, html, due_at,
                 step, case when status = 'pending' and s.address is not null
                     then 'suppressed' else status end as status,
                 case when status = 'pending' and s.address is not null
                     then 'suppressed: ' || s.reason else new.reason end as reason,
                 new.created_at, has_key
             from unnest($16::uuid[], $17::uuid[], $18::text[], $19::text[], $20::text[],
                 $21::text[], $22::text[], $23::timestamptz[], $24::smallint[], $25::text[],
                 $26::text[], $27::timestamptz[], $28::bool[])
                 as new (id, notification_id, channel, recipient, title, body, html, due_at, step,
                     status, reason, created_at, has_key)
             left join notification.suppression s on s.address = new.recipient),
         accepted as (
             insert into notification.notification (id, event, title, message, data, priority,
                 dedupe_key, status, reason, findings, created_at)
             select id, event, title, message, data, priority, dedupe_key,
                 case when status = 'queued' and not id in
                         (select notification_id from wanted where status = 'pending')
                     then 'suppressed' else status end,
                 case when status = 'queued' and not id in
                         (select notification_id from wanted where status = 'pending')
                     then 'all recipients are suppressed' else reason end,
                 findings, created_at
             from asked where key is null or id in (select notification_id from kept)),
         delivered as (
             insert into notification.delivery
                 (id, notification_id, channel, recipient, title, body, html, due_at, step,
                     status, reason, created_at)
             select id, notification_id, channel, recipient, title, body, html, due_at,
                 step, status, reason, created_at
             from wanted
             where not has_key or notification_id in (select notification_id from kept))
         select subject as "subject?", key as "key?", notification_id as "notification_id?",
             body_sha256 as "body_sha256?", null::uuid as suppressed, null as why from kept
         union all
         select null, null, null, null, id, reason from wanted
         where status = 'suppressed' and reason like 'suppressed: %'"#,
        &subjects as &[Option<String>],
        now - KEPT,
        &each(asked, |new| new.id),
        each(asked, |new| new.command.event.as_str()) as _,
        each(asked, |new| new.command.title.as_deref()) as _,
        each(asked, |new| new.command.message.as_deref()) as _,
        each(asked, |new| Json(&new.command.data)) as _,
        each(asked, |new| priority_text(new.command.priority)) as _,
        each(asked, |new| new.command.dedupe_key.as_deref()) as _,
        each(asked, |new| status_text(new.status())) as _,
        &each(asked, Notification::reason) as &[Option<String>],
        findings as _,
        &each(asked, |new| new.created_at),
        &keys as &[Option<String>],
        &sums as &[Option<Vec<u8>>],
        &of_each(&drafts, |draft| draft.id),
        &drafts.iter().map(|(of, _)| of.new.id).collect::<Vec<_>>(),
        of_each(&drafts, |draft| draft.target.channel().as_str()) as _,
        of_each(&drafts, |draft| draft.target.address()) as _,
        of_each(&drafts, |draft| draft.title.as_deref()) as _,
        of_each(&drafts, |draft| draft.text.as_str()) as _,
        of_each(&drafts, |draft| draft.html.as_deref()) as _,
        &of_each(&drafts, |draft| draft.due_at),
        &of_each(&drafts, |draft| draft.step),
        of_each(&drafts, Draft::status) as _,
        of_each(&drafts, |draft| draft.reason.as_deref()) as _,
        &drafts
            .iter()
            .map(|(of, _)| of.new.created_at)
            .collect::<Vec<_>>(),
        &drafts
            .iter()
            .map(|(of, _)| of.key.is_some())
            .collect::<Vec<_>>(),
    )
    .fetch_all(executor)
    .await?;
    Ok(rows.into())
}
