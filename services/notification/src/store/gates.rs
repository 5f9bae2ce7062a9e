//! Throttle and dedupe windows and digests of new notifications: the tables `tally` and `digest`.

use std::collections::{BTreeMap, HashMap};

use chrono::{DateTime, SecondsFormat, Utc};
use common::clock::Clock;
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

use super::StoreError;
use crate::domain::gate::{RateWindow, WindowKind};
use crate::domain::notification::Notification;

const COUNTER_DELETE_BATCH: i64 = 10_000;

/// Counts branches in their windows, and holds back those that exceed a limit.
pub(super) async fn pass(
    connection: &mut PgConnection,
    all: &mut [&mut Notification],
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    for kind in WindowKind::ALL {
        // Ordered by key, so that concurrent transactions do not deadlock.
        let mut waiting: BTreeMap<(Uuid, String), Vec<WindowEntry>> = BTreeMap::new();
        for (at, notification) in all.iter().enumerate() {
            for (branch, open) in notification.branches.iter().enumerate() {
                let gather = open.gather.as_ref();
                let shut = gather.map_or(open.drafts.is_empty(), |g| g.held_back.is_some());
                let gate = open.gates.iter().find(|gate| gate.kind == kind);
                if let Some(gate) = gate.filter(|_| !shut) {
                    let key = (gate.rule, gate.key.clone());
                    let place = (at, branch, gate.clone());
                    waiting.entry(key).or_default().push(place);
                }
            }
        }
        for counted in count(connection, kind, waiting, now).await? {
            let numbers = counted.before..;
            for (number, (at, branch, gate)) in numbers.zip(counted.places) {
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
    places: Vec<WindowEntry>,
    /// The count before these entries.
    before: i32,
    ends_at: DateTime<Utc>,
}

async fn count(
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
            before: row.count - new,
            ends_at: row.ends_at,
            places,
        })
    });
    Ok(counted.collect())
}

/// Returns the count and the end of the window that is open at `now`.
pub async fn look(
    pool: &PgPool,
    gate: &RateWindow,
    now: DateTime<Utc>,
) -> Result<Option<(i32, DateTime<Utc>)>, StoreError> {
    let row = sqlx::query!(
        "select count, ends_at from notification.tally
         where rule_id = $1 and kind = $2 and key = $3 and ends_at > $4",
        gate.rule,
        gate.kind.as_str(),
        gate.key,
        now,
    );
    let row = row.fetch_optional(pool).await?;
    Ok(row.map(|row| (row.count, row.ends_at)))
}

/// Finds or creates the digests of these notifications.
pub(super) async fn gather(
    connection: &mut PgConnection,
    all: &mut [&mut Notification],
    clock: &Clock,
) -> Result<(), StoreError> {
    let now = clock.now();
    let mut wanted = BTreeMap::new();
    let branches = all.iter().flat_map(|one| &one.branches);
    for gather in branches.filter_map(|branch| branch.gather.as_ref()) {
        let digest = (now + gather.length, gather.held_back.is_some());
        wanted.insert((gather.rule, gather.key.clone()), digest);
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
    for branch in all.iter_mut().flat_map(|one| &mut one.branches) {
        let Some(gather) = &mut branch.gather else {
            continue;
        };
        if let Some((id, due_at)) = open.get(&(gather.rule, gather.key.clone())) {
            gather.digest = Some(*id);
            let due = due_at.to_rfc3339_opts(SecondsFormat::Secs, true);
            let told = format!("sent in a digest at {due}, as notification {id}");
            let detail = match &gather.held_back {
                Some(reason) => format!("{reason}; {told}"),
                None => told,
            };
            if let Some(finding) = &mut branch.finding {
                finding.detail = Some(detail);
            }
        }
    }
    Ok(())
}

/// Adds these notifications to their digests.
pub(super) async fn keep_items(
    connection: &mut PgConnection,
    all: &[&Notification],
) -> Result<(), StoreError> {
    let (mut digests, mut ids, mut texts) = (vec![], vec![], vec![]);
    for one in all {
        for gather in one.branches.iter().filter_map(|b| b.gather.as_ref()) {
            if let Some(digest) = gather.digest {
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
