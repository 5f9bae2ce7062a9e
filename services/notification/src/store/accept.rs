//! Accepts notifications: stores each with its idempotency key and its deliveries, atomically.

mod insert;
mod new_notification;

use std::collections::{HashMap, HashSet};

use chassis::database;
use chassis::database::StoreError;
use common::clock::Clock;
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

pub(super) use self::insert::insert_notifications;
use self::insert::{InsertResult, StoredKey};
pub use self::new_notification::NewNotification;
use super::idempotency_key::{IdempotencyKey, KEY_RETENTION};
use super::{erasure, window_counter};
use crate::domain::person::Person;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Acceptance {
    /// The notification was stored.
    New,
    /// The request is a repetition of the one that was stored under this id.
    Duplicate(Uuid),
    /// The idempotency key was used for a request with another body.
    KeyConflict,
}

/// Creates the connection pool for [`accept`], whose statements are planned only once.
#[must_use]
pub fn key_lookup_pool(pool: &PgPool) -> PgPool {
    // One connection is in use at a time; the second one is for the case that it hangs.
    database::request_pool(database::key_lookup_options(pool), 2)
}

/// Stores all notifications in one transaction, and returns the outcome of each. Of concurrent
/// requests with the same key one is stored; the others wait for it. Throttle and dedupe windows
/// are counted and digests joined in the same transaction, which may suppress branches.
pub async fn accept(
    pool: &PgPool,
    asked: &mut [NewNotification],
    clock: &Clock,
) -> Result<Vec<Acceptance>, StoreError> {
    let now = clock.now();
    let windows = |asked: &NewNotification| {
        let mut all = asked.notification.plans.iter();
        all.any(|branch| !branch.windows.is_empty() || branch.digest_entry.is_some())
    };
    let stored = if asked.iter().any(windows) {
        let open: Vec<_> = asked.iter().map(|a| a.notification.plans.clone()).collect();
        let stored = accept_with_windows(pool, asked, clock).await;
        if stored.is_err() {
            // The transaction was rolled back, including its counts.
            let all = asked.iter_mut().zip(open);
            all.for_each(|(asked, open)| asked.notification.plans = open);
        }
        stored?
    } else {
        insert_notifications(pool, &deduplicate_keys(asked), now).await?
    };
    for asked in &mut *asked {
        asked.notification.suppress(&stored.suppressed_deliveries);
        if stored.erased_notifications.contains(&asked.notification.id) {
            asked.notification.erase();
        }
    }
    let kept = stored.stored_keys.iter();
    let kept: HashMap<_, _> = kept
        .map(|kept| ((kept.subject.as_str(), kept.key.as_str()), kept))
        .collect();
    let each = asked.iter();
    each.map(|asked| acceptance_of(asked, &kept)).collect()
}

fn acceptance_of(
    asked: &NewNotification,
    kept: &HashMap<(&str, &str), &StoredKey>,
) -> Result<Acceptance, StoreError> {
    let Some(key) = &asked.idempotency_key else {
        return Ok(Acceptance::New);
    };
    let missing = StoreError::Corrupt("a row of the table idempotency_key");
    let kept = kept.get(&key.primary_key()).ok_or(missing)?;
    Ok(if kept.body_sha256 != key.body_sha256 {
        Acceptance::KeyConflict
    } else if kept.notification_id == asked.notification.id {
        Acceptance::New
    } else {
        Acceptance::Duplicate(kept.notification_id)
    })
}

/// Accepts notifications of which some are counted in windows or gathered in digests. Repeated
/// requests are not counted again.
async fn accept_with_windows(
    pool: &PgPool,
    asked: &mut [NewNotification],
    clock: &Clock,
) -> Result<InsertResult, StoreError> {
    let now = clock.now();
    let mut transaction = pool.begin().await?;
    let keys: Vec<_> = asked
        .iter()
        .filter_map(|a| a.idempotency_key.as_ref())
        .collect();
    let before = sqlx::query!(
        "select k.subject, k.key from unnest($1::text[], $2::text[]) as asked (subject, key)
         join notification.idempotency_key k using (subject, key) where k.created_at > $3",
        &keys.iter().map(|k| k.subject.clone()).collect::<Vec<_>>(),
        &keys.iter().map(|k| k.key.clone()).collect::<Vec<_>>(),
        now - KEY_RETENTION,
    );
    let before = before.fetch_all(&mut *transaction).await?.into_iter();
    let mut seen: HashSet<_> = before.map(|row| (row.subject, row.key)).collect();
    let mut new: Vec<_> = asked
        .iter_mut()
        .filter(|asked| {
            let key = asked.idempotency_key.as_ref();
            key.is_none_or(|key| seen.insert((key.subject.clone(), key.key.clone())))
        })
        .map(|asked| &mut asked.notification)
        .collect();
    window_counter::apply_windows(&mut transaction, &mut new, now).await?;
    window_counter::open_digests(&mut transaction, &mut new, clock).await?;
    let first = deduplicate_keys(asked);
    let stored = insert_notifications(&mut *transaction, &first, now).await?;
    delete_erased_counters(&mut transaction, &first, &stored).await?;
    let ids: HashSet<_> = stored
        .stored_keys
        .iter()
        .map(|k| k.notification_id)
        .collect();
    let is_new = |asked: &&&NewNotification| {
        let id = &asked.notification.id;
        (asked.idempotency_key.is_none() || ids.contains(id))
            && !stored.erased_notifications.contains(id)
    };
    let new: Vec<_> = first
        .iter()
        .filter(is_new)
        .map(|asked| &asked.notification)
        .collect();
    window_counter::insert_digest_items(&mut transaction, &new).await?;
    transaction.commit().await?;
    Ok(stored)
}

/// Deletes the counts of persons who are erased: windows are counted before erasures are checked.
async fn delete_erased_counters(
    connection: &mut PgConnection,
    asked: &[&NewNotification],
    stored: &InsertResult,
) -> Result<(), StoreError> {
    if stored.erased_notifications.is_empty() {
        return Ok(());
    }
    let erased = asked
        .iter()
        .filter(|one| stored.erased_notifications.contains(&one.notification.id));
    let persons: Vec<Person> = erased
        .map(|one| Person::from_data(&one.notification.command.data))
        .collect();
    let ids = persons
        .iter()
        .flat_map(|person| person.visitor_id.iter().chain(&person.user_id));
    let ids: Vec<&str> = ids.map(String::as_str).collect();
    erasure::delete_counters_with_ids(connection, &ids).await
}

/// Keeps the first notification with each key, because a statement cannot write a row twice.
fn deduplicate_keys(asked: &[NewNotification]) -> Vec<&NewNotification> {
    let mut seen = HashSet::new();
    let mut is_first = |key: &Option<IdempotencyKey>| {
        let key = key.as_ref();
        key.is_none_or(|key| seen.insert((key.subject.clone(), key.key.clone())))
    };
    asked
        .iter()
        .filter(|asked| is_first(&asked.idempotency_key))
        .collect()
}
