//! Throttle and dedupe windows and digests of new notifications: the tables `tally` and `digest`.

use std::collections::{BTreeMap, HashMap};

use chassis::database::StoreError;
use chrono::{DateTime, SecondsFormat, Utc};
use common::clock::Clock;
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

use crate::domain::notification::Notification;
use crate::domain::rate_window::{RateWindow, WindowKind};

const COUNTER_DELETE_BATCH: i64 = 10_000;

/// Counts branches in their windows, and holds back those that exceed a limit.
pub(super) async fn apply_windows(
    connection: &mut PgConnection,
    all: &mut [&mut Notification],
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    for kind in WindowKind::ALL {
        // Ordered by key, so that concurrent transactions do not deadlock.
        let mut waiting: BTreeMap<(Uuid, String), Vec<WindowEntry>> = BTreeMap::new();
        for (at, notification) in all.iter().enumerate() {
            for (branch, open) in notification.plans.iter().enumerate() {
                let gather = open.digest_entry.as_ref();
                let shut =
                    gather.map_or(open.deliveries.is_empty(), |g| g.throttle_reason.is_some());
                let gate = open.windows.iter().find(|gate| gate.kind == kind);
                if let Some(gate) = gate.filter(|_| !shut) {
                    let key = (gate.rule_id, gate.key.clone());
                    let place = (at, branch, gate.clone());
                    waiting.entry(key).or_default().push(place);
                }
            }
        }
        for counted in increment_counters(connection, kind, waiting, now).await? {
            let numbers = counted.previous_count..;
            for (number, (at, branch, gate)) in numbers.zip(counted.entries) {
                if number >= gate.limit {
                    all[at].hold_back(branch, &gate, counted.ends_at);
                }
            }
        }
    }
    Ok(())
}

/// The index of the notification, the index of its branch, and the window.
type WindowEntry = (usize, usize, RateWindow);

struct CountedWindow {
    entries: Vec<WindowEntry>,
    /// The count before these entries.
    previous_count: i32,
    ends_at: DateTime<Utc>,
}

async fn increment_counters(
    connection: &mut PgConnection,
    kind: WindowKind,
    mut waiting: BTreeMap<(Uuid, String), Vec<WindowEntry>>,
    now: DateTime<Utc>,
) -> Result<Vec<CountedWindow>, StoreError> {
    if waiting.is_empty() {
        return Ok(vec![]);
    }
    let (mut rules, mut keys, mut counts, mut ends) = (vec![], vec![], vec![], vec![]);
    for ((rule, key), places) in &waiting {
        rules.push(*rule);
        keys.push(key.clone());
        counts.push(i32::try_from(places.len()).unwrap_or(i32::MAX));
        ends.push(places.first().map_or(now, |(_, _, gate)| now + gate.length));
    }
    let rows = sqlx::query!(
        "insert into notification.tally as t (rule_id, kind, key, count, ends_at)
         select rule_id, $1, key, count, ends_at
         from unnest($2::uuid[], $3::text[], $4::int[], $5::timestamptz[])
             as new (rule_id, key, count, ends_at)
         order by rule_id, key
         on conflict on constraint tally_pkey do update
         set count = case when t.ends_at <= $6 then excluded.count
                 else least(t.count::bigint + excluded.count, 2000000000)::int end,
             ends_at = case when t.ends_at <= $6 then excluded.ends_at else t.ends_at end
         returning rule_id, key, count, ends_at",
        kind.as_str(),
        &rules,
        &keys,
        &counts,
        &ends,
        now,
    );
    let rows = rows.fetch_all(connection).await?;
    let counted = rows.into_iter().filter_map(|row| {
        let places = waiting.remove(&(row.rule_id, row.key))?;
        let new = i32::try_from(places.len()).unwrap_or(i32::MAX);
        Some(CountedWindow {
            previous_count: row.count - new,
            ends_at: row.ends_at,
            entries: places,
        })
    });
    Ok(counted.collect())
}

/// Returns the count and the end of the window that is open at `now`.
pub async fn current_count(
    pool: &PgPool,
    gate: &RateWindow,
    now: DateTime<Utc>,
) -> Result<Option<(i32, DateTime<Utc>)>, StoreError> {
    let row = sqlx::query!(
        "select count, ends_at from notification.tally
         where rule_id = $1 and kind = $2 and key = $3 and ends_at > $4",
        gate.rule_id,
        gate.kind.as_str(),
        gate.key,
        now,
    );
    let row = row.fetch_optional(pool).await?;
    Ok(row.map(|row| (row.count, row.ends_at)))
}

/// Finds or creates the digests of these notifications.
pub(super) async fn open_digests(
    connection: &mut PgConnection,
    all: &mut [&mut Notification],
    clock: &Clock,
) -> Result<(), StoreError> {
    let now = clock.now();
    let mut wanted = BTreeMap::new();
    let branches = all.iter().flat_map(|one| &one.plans);
    for gather in branches.filter_map(|branch| branch.digest_entry.as_ref()) {
        let digest = (now + gather.length, gather.throttle_reason.is_some());
        wanted.insert((gather.rule_id, gather.key.clone()), digest);
    }
    if wanted.is_empty() {
        return Ok(());
    }
    let rows = sqlx::query!(
        "insert into notification.digest as d (id, rule_id, key, opened_at, due_at, held_back)
         select id, rule_id, key, $4, due_at, held_back
         from unnest($1::uuid[], $2::uuid[], $3::text[], $5::timestamptz[], $6::bool[])
             as new (id, rule_id, key, due_at, held_back) order by rule_id, key
         on conflict on constraint digest_open_once do update set key = excluded.key
         returning id, rule_id, key, due_at",
        &wanted.keys().map(|_| clock.new_id()).collect::<Vec<_>>(),
        &wanted.keys().map(|(rule, _)| *rule).collect::<Vec<_>>(),
        &wanted
            .keys()
            .map(|(_, key)| key.clone())
            .collect::<Vec<_>>(),
        now,
        &wanted.values().map(|(due, _)| *due).collect::<Vec<_>>(),
        &wanted.values().map(|(_, held)| *held).collect::<Vec<_>>(),
    );
    let rows = rows.fetch_all(connection).await?.into_iter();
    let open: HashMap<_, _> = rows
        .map(|row| ((row.rule_id, row.key), (row.id, row.due_at)))
        .collect();
    for branch in all.iter_mut().flat_map(|one| &mut one.plans) {
        let Some(gather) = &mut branch.digest_entry else {
            continue;
        };
        if let Some((id, due_at)) = open.get(&(gather.rule_id, gather.key.clone())) {
            gather.digest_id = Some(*id);
            let due = due_at.to_rfc3339_opts(SecondsFormat::Secs, true);
            let told = format!("sent in a digest at {due}, as notification {id}");
            let detail = match &gather.throttle_reason {
                Some(reason) => format!("{reason}; {told}"),
                None => told,
            };
            if let Some(finding) = &mut branch.rule_result {
                finding.detail = Some(detail);
            }
        }
    }
    Ok(())
}

/// Adds these notifications to their digests.
pub(super) async fn insert_digest_items(
    connection: &mut PgConnection,
    all: &[&Notification],
) -> Result<(), StoreError> {
    let (mut digests, mut ids, mut texts) = (vec![], vec![], vec![]);
    for one in all {
        for gather in one.plans.iter().filter_map(|b| b.digest_entry.as_ref()) {
            if let Some(digest) = gather.digest_id {
                digests.push(digest);
                ids.push(one.id);
                texts.push(gather.text.clone());
            }
        }
    }
    sqlx::query!(
        "insert into notification.digest_item (digest_id, notification_id, text)
         select * from unnest($1::uuid[], $2::uuid[], $3::text[])",
        &digests,
        &ids,
        &texts,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Deletes counters of past windows. Returns their number.
pub async fn delete_old(pool: &PgPool, now: DateTime<Utc>) -> Result<u64, StoreError> {
    let done = sqlx::query!(
        "delete from notification.tally where (rule_id, kind, key) in (
             select rule_id, kind, key from notification.tally
             where ends_at <= $1 order by ends_at limit $2 for update skip locked)",
        now,
        COUNTER_DELETE_BATCH,
    );
    Ok(done.execute(pool).await?.rows_affected())
}
