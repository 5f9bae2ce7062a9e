//! The statement that stores notifications with their keys and deliveries.

use std::collections::{HashMap, HashSet};

use chassis::database::StoreError;
use chrono::{DateTime, Utc};
use sqlx::PgExecutor;
use sqlx::types::Json;
use uuid::Uuid;

use super::new_notification::NewNotification;
use crate::domain::delivery_plan::PlannedDelivery;
use crate::domain::notification::Notification;
use crate::domain::person::Person;
use crate::domain::priority::priority_name;
use crate::domain::rule_result::RuleResult;
use crate::store::idempotency_key::{IdempotencyKey, KEY_RETENTION};
use crate::store::notification::status_text;

pub(super) struct StoredKey {
    pub subject: String,
    pub key: String,
    pub notification_id: Uuid,
    pub body_sha256: Vec<u8>,
}

#[derive(Default)]
pub(in crate::store) struct InsertResult {
    pub(super) stored_keys: Vec<StoredKey>,
    /// Deliveries to suppressed addresses, with the reason.
    pub(super) suppressed_deliveries: HashMap<Uuid, String>,
    /// Notifications about persons who were erased.
    pub(super) erased_notifications: HashSet<Uuid>,
}

/// The stored values of a key, a suppressed delivery, or an erased notification.
struct InsertResultRow {
    subject: Option<String>,
    key: Option<String>,
    notification_id: Option<Uuid>,
    body_sha256: Option<Vec<u8>>,
    suppressed: Option<Uuid>,
    why: Option<String>,
    erased: Option<Uuid>,
}

impl From<Vec<InsertResultRow>> for InsertResult {
    fn from(lines: Vec<InsertResultRow>) -> Self {
        let mut stored = Self::default();
        for line in lines {
            if let (Some(subject), Some(key), Some(notification_id), Some(body_sha256)) = (
                line.subject,
                line.key,
                line.notification_id,
                line.body_sha256,
            ) {
                stored.stored_keys.push(StoredKey {
                    subject,
                    key,
                    notification_id,
                    body_sha256,
                });
            }
            stored
                .suppressed_deliveries
                .extend(line.suppressed.zip(line.why));
            stored.erased_notifications.extend(line.erased);
        }
        stored
    }
}

fn delivery_column<'a, T>(
    drafts: &[(&NewNotification, &'a PlannedDelivery)],
    part: impl Fn(&'a PlannedDelivery) -> T,
) -> Vec<T> {
    drafts.iter().map(|(_, draft)| part(draft)).collect()
}

fn owner_column<T>(
    drafts: &[(&NewNotification, &PlannedDelivery)],
    part: impl Fn(&NewNotification) -> T,
) -> Vec<T> {
    drafts.iter().map(|(of, _)| part(of)).collect()
}

fn rule_results(new: &Notification) -> Option<Json<Vec<&RuleResult>>> {
    let all: Vec<&RuleResult> = new.rule_results().collect();
    (!all.is_empty()).then_some(Json(all))
}

fn key_column<T>(
    asked: &[&NewNotification],
    part: impl Fn(&IdempotencyKey) -> T,
) -> Vec<Option<T>> {
    let part = |asked: &&NewNotification| asked.idempotency_key.as_ref().map(&part);
    asked.iter().map(part).collect()
}

fn notification_column<'a, T>(
    asked: &[&'a NewNotification],
    part: impl Fn(&'a Notification) -> T,
) -> Vec<T> {
    asked
        .iter()
        .map(|asked| part(&asked.notification))
        .collect()
}

fn person_column<T>(persons: &[Person], part: impl Fn(&Person) -> Option<T>) -> Vec<Option<T>> {
    persons.iter().map(part).collect()
}

/// Inserts notifications and returns what is stored for each key: the new request or an earlier
/// one. Notifications about an erased person are stored without content. Keys are written in order,
/// so that concurrent statements do not deadlock.
#[expect(
    clippy::too_many_lines,
    reason = "a single statement with its parameters"
)]
pub(in crate::store) async fn insert_notifications(
    executor: impl PgExecutor<'_>,
    asked: &[&NewNotification],
    now: DateTime<Utc>,
) -> Result<InsertResult, StoreError> {
    let drafts = asked.iter();
    let drafts = drafts.flat_map(|asked| {
        asked
            .notification
            .deliveries()
            .map(move |draft| (*asked, draft))
    });
    let drafts: Vec<_> = drafts.collect();
    let persons: Vec<Person> = asked
        .iter()
        .map(|asked| Person::from_data(&asked.notification.command.data))
        .collect();
    let keys = asked.iter().zip(&persons).flat_map(|(asked, person)| {
        let keys = person.erasure_keys().into_iter();
        keys.map(|key| (asked.notification.id, key))
    });
    let (keyed, keys): (Vec<Uuid>, Vec<Uuid>) = keys.unzip();
    let rows = sqlx::query_as!(
        InsertResultRow,
        r#"with asked as materialized (
             select * from unnest($3::uuid[], $4::text[], $5::text[], $6::text[], $7::json[],
                 $8::text[], $9::text[], $10::text[], $11::text[], $12::json[],
                 $13::timestamptz[], $1::text[], $14::text[], $15::bytea[], $30::text[],
                 $31::text[], $32::text[], $33::timestamptz[])
                 as asked (id, event, title, message, data, priority, dedupe_key, status, reason,
                     findings, created_at, subject, key, body_sha256, visitor_id, user_id, site,
                     recorded_at)),
         erased as materialized (
             select distinct asked.id from unnest($34::uuid[], $35::uuid[]) as p (id, key)
             join notification.erased_person e on e.key = p.key
             join asked on asked.id = p.id
                 and coalesce(asked.recorded_at, asked.created_at) <= e.erased_at),
         kept as (
             insert into notification.idempotency_key as kept
                 (subject, key, body_sha256, notification_id, created_at)
             select subject, key, body_sha256, id, created_at from asked
             where key is not null and not id in (select id from erased) order by subject, key
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
                 new.created_at, has_key, last_error
             from unnest($16::uuid[], $17::uuid[], $18::text[], $19::text[], $20::text[],
                 $21::text[], $22::text[], $23::timestamptz[], $24::smallint[], $25::text[],
                 $26::text[], $27::timestamptz[], $28::bool[], $29::text[])
                 as new (id, notification_id, channel, recipient, title, body, html, due_at, step,
                     status, reason, created_at, has_key, last_error)
             left join notification.suppression s on s.address = new.recipient),
         accepted as (
             insert into notification.notification (id, event, title, message, data, priority,
                 dedupe_key, status, reason, findings, created_at, visitor_id, user_id, site,
                 recorded_at)
             select id, event, title, message, data, priority, dedupe_key,
                 case when status = 'queued' and not id in
                         (select notification_id from wanted where status = 'pending')
                     then 'suppressed' else status end,
                 case when status = 'queued' and not id in
                         (select notification_id from wanted where status = 'pending')
                     then 'all recipients are suppressed' else reason end,
                 findings, created_at, visitor_id, user_id, site, recorded_at
             from asked where (key is null or id in (select notification_id from kept))
                 and not id in (select id from erased)),
         silent as (
             insert into notification.notification (id, event, data, priority, status, reason,
                 created_at, erased_at)
             select id, event, '{}', priority, 'suppressed', 'erased', created_at, created_at
             from asked where id in (select id from erased)),
         delivered as (
             insert into notification.delivery
                 (id, notification_id, channel, recipient, title, body, html, due_at, step,
                     status, reason, last_error, created_at)
             select id, notification_id, channel, recipient, title, body, html, due_at,
                 step, status, reason, last_error, created_at
             from wanted
             where (not has_key or notification_id in (select notification_id from kept))
                 and not notification_id in (select id from erased))
         select subject as "subject?", key as "key?", notification_id as "notification_id?",
             body_sha256 as "body_sha256?", null::uuid as suppressed, null as why,
             null::uuid as erased from kept
         union all
         select null, null, null, null, id, reason, null from wanted
         where status = 'suppressed' and reason like 'suppressed: %'
         union all
         select subject, key, id, body_sha256, null, null, id from asked
         where id in (select id from erased)"#,
        &key_column(asked, |key| key.subject.clone()) as &[Option<String>],
        now - KEY_RETENTION,
        &notification_column(asked, |new| new.id),
        notification_column(asked, |new| new.command.event.as_str()) as _,
        notification_column(asked, |new| new.command.title.as_deref()) as _,
        notification_column(asked, |new| new.command.message.as_deref()) as _,
        notification_column(asked, |new| Json(&new.command.data)) as _,
        notification_column(asked, |new| priority_name(new.command.priority)) as _,
        notification_column(asked, |new| new.command.dedupe_key.as_deref()) as _,
        notification_column(asked, |new| status_text(new.status())) as _,
        &notification_column(asked, Notification::reason) as &[Option<String>],
        notification_column(asked, rule_results) as _,
        &notification_column(asked, |new| new.created_at),
        &key_column(asked, |key| key.key.clone()) as &[Option<String>],
        &key_column(asked, |key| key.body_sha256.to_vec()) as &[Option<Vec<u8>>],
        &delivery_column(&drafts, |draft| draft.id),
        &owner_column(&drafts, |of| of.notification.id),
        delivery_column(&drafts, |draft| draft.address.channel().as_str()) as _,
        delivery_column(&drafts, |draft| draft.address.unmasked()) as _,
        delivery_column(&drafts, |draft| draft.title.as_deref()) as _,
        delivery_column(&drafts, |draft| draft.text.as_str()) as _,
        delivery_column(&drafts, |draft| draft.html.as_deref()) as _,
        &delivery_column(&drafts, |draft| draft.due_at),
        &delivery_column(&drafts, |draft| draft.step),
        delivery_column(&drafts, PlannedDelivery::status) as _,
        delivery_column(&drafts, |draft| draft.reason.as_deref()) as _,
        &owner_column(&drafts, |of| of.notification.created_at),
        &owner_column(&drafts, |of| of.idempotency_key.is_some()),
        delivery_column(&drafts, |draft| draft.failure.as_deref()) as _,
        &person_column(&persons, |person| person.visitor_id.clone()) as &[Option<String>],
        &person_column(&persons, |person| person.user_id.clone()) as &[Option<String>],
        &person_column(&persons, |person| person.site.clone()) as &[Option<String>],
        &person_column(&persons, |person| person.recorded_at) as &[Option<DateTime<Utc>>],
        &keyed,
        &keys,
    )
    .fetch_all(executor)
    .await?;
    Ok(rows.into())
}
