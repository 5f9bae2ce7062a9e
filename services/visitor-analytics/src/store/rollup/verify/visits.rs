//! Compares column blocks and quarter-hour rollups with the visits.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Range;

use chassis::database::StoreError;
use chrono_tz::Tz;
use rollups::aggregate::Metrics;
use rollups::column_block::{BOT_FLAG, ColumnKind};
use rollups::day::LocalDay;
use rollups::quarter_hours::{MidnightOverlap, QUARTER_HOUR_SECONDS, QuarterHours};
use rollups::query::day_seconds;
use sqlx::PgConnection;

use super::decoded_visit::{DecodedVisit, decode_visits};
use super::{MetricMismatch, RollupComparison, VerifiableDay, paths};
use crate::store::rollup::rollup_store::RollupStore;
use crate::store::rollup::{column_block, visitor_hash};

const CORRUPT_QUARTER_HOURS: StoreError = StoreError::Corrupt("a quarter-hour rollup");

impl RollupStore {
    pub(super) async fn compare_visits(
        &self,
        connection: &mut PgConnection,
        day: &VerifiableDay,
        comparison: &mut RollupComparison,
    ) -> Result<(), StoreError> {
        let visits = load_visits(connection, day).await?;
        let blocks =
            column_block::load(&mut *connection, day.site_id, day.date, &ColumnKind::STORED)
                .await?;
        let mut counts: HashMap<DecodedVisit, i64> = HashMap::new();
        for visit in &visits {
            *counts.entry(visit.clone()).or_default() += 1;
        }
        let zone = self.site_time_zone(day.site_id).await?;
        let local_day = LocalDay::new(zone, day.date);
        for visit in blocks
            .iter()
            .flat_map(|block| decode_visits(block, &day_seconds(&local_day)))
        {
            *counts.entry(visit).or_default() -= 1;
        }
        comparison.compared += visits.len();
        let extra: i64 = counts
            .values()
            .filter(|count| **count < 0)
            .map(|n| -n)
            .sum();
        let missing: i64 = counts.values().filter(|count| **count > 0).sum();
        if extra + missing > 0 {
            comparison.mismatches.push(MetricMismatch {
                dimension: "column blocks",
                value: None,
                is_bot: false,
                metric: "unmatched visits",
                folded: Some(extra),
                counted: Some(missing),
            });
        }
        paths::compare_paths(
            &mut *connection,
            day,
            &day_seconds(&local_day),
            &visits,
            comparison,
        )
        .await?;
        let row = sqlx::query!(
            "select quarters, overlap from visitor_analytics.rollup_quarter_hour
             where site_id = $1 and day = $2",
            day.site_id,
            day.date,
        );
        let Some(row) = row.fetch_optional(&mut *connection).await? else {
            return Ok(());
        };
        let quarters = QuarterHours::from_bytes(&row.quarters).ok_or(CORRUPT_QUARTER_HOURS)?;
        for (name, part) in day_parts(&day_seconds(&local_day)) {
            let places = quarter_index(&local_day, part.start)..quarter_index(&local_day, part.end);
            let folded = quarters.metrics(places);
            let counted = compute_metrics(&visits, &part);
            for class in [0, 1] {
                let folded = folded.as_ref().map(|both| &both[class]);
                let pair = (folded, Some(&counted[class]));
                comparison.compare("quarter hours", Some(&name), class == 1, pair);
            }
        }
        match row.overlap {
            Some(overlap) => {
                compare_overlap(connection, day, zone, &visits, &overlap, comparison).await
            }
            None => Ok(()),
        }
    }
}

/// Compares the overlap of a day's visitors with those of the next day.
async fn compare_overlap(
    connection: &mut PgConnection,
    day: &VerifiableDay,
    zone: Tz,
    visits: &[DecodedVisit],
    overlap: &[u8],
    comparison: &mut RollupComparison,
) -> Result<(), StoreError> {
    let overlap = MidnightOverlap::from_bytes(overlap).ok_or(CORRUPT_QUARTER_HOURS)?;
    let Some(date) = day.date.succ_opt() else {
        return Ok(());
    };
    let next = VerifiableDay {
        date,
        ..day.clone()
    };
    let next_visits = load_visits(connection, &next).await?;
    let (local_day, next) = (LocalDay::new(zone, day.date), LocalDay::new(zone, date));
    comparison.compared += 96;
    let folded = |from| overlap.visitors(from, 96).unwrap_or_default();
    for from in 0..quarter_index(&local_day, local_day.to.timestamp()) {
        let start = local_day.from.timestamp()
            + i64::try_from(from).unwrap_or_default() * QUARTER_HOUR_SECONDS;
        let late = visitors_in(visits, &(start..local_day.to.timestamp()));
        let early = visitors_in(
            &next_visits,
            &(next.from.timestamp()..start + 96 * QUARTER_HOUR_SECONDS),
        );
        let both = late.intersection(&early);
        let counted = both.fold([0, 0], |mut counts: [i64; 2], (_, class)| {
            counts[usize::from(*class)] += 1;
            counts
        });
        if counted != folded(from) {
            comparison.mismatches.push(MetricMismatch {
                dimension: "midnight overlap",
                value: Some(from.to_string()),
                is_bot: false,
                metric: "visitors",
                folded: Some(folded(from).iter().sum()),
                counted: Some(counted.iter().sum()),
            });
        }
    }
    Ok(())
}

fn quarter_index(day: &LocalDay, second: i64) -> usize {
    usize::try_from((second - day.from.timestamp()) / QUARTER_HOUR_SECONDS).unwrap_or_default()
}

/// The parts of a day before and after every fourth hour.
fn day_parts(day: &Range<i64>) -> Vec<(String, Range<i64>)> {
    let cuts =
        (day.start..=day.end).step_by(usize::try_from(16 * QUARTER_HOUR_SECONDS).unwrap_or(1));
    let both = |cut| {
        let hours = (cut - day.start) / 3_600;
        [
            (format!("before {hours} hours"), day.start..cut),
            (format!("after {hours} hours"), cut..day.end),
        ]
    };
    cuts.flat_map(both).collect()
}

fn compute_metrics(visits: &[DecodedVisit], period: &Range<i64>) -> [Metrics; 2] {
    let mut sums = <[Metrics; 2]>::default();
    let mut sessions: BTreeMap<u64, (&DecodedVisit, i64)> = BTreeMap::new();
    for visit in visits {
        // Visits are sorted by time, so the first of each session stays.
        sessions.entry(visit.session).or_insert((visit, 0)).1 += 1;
        if period.contains(&visit.at) {
            let sum = &mut sums[usize::from(visit.is_bot_session)];
            sum.visits += 1;
            sum.seconds += visit.seconds;
        }
    }
    for (first, count) in sessions.values() {
        if period.contains(&first.at) {
            let sum = &mut sums[usize::from(first.is_bot_session)];
            sum.sessions += 1;
            sum.bounces += i64::from(*count == 1);
        }
    }
    for (_, of_bot) in visitors_in(visits, period) {
        sums[usize::from(of_bot)].visitors += 1;
    }
    sums
}

fn visitors_in(visits: &[DecodedVisit], period: &Range<i64>) -> BTreeSet<(u64, bool)> {
    let within = visits.iter().filter(|visit| period.contains(&visit.at));
    within
        .map(|visit| (visit.visitor, visit.is_bot_session))
        .collect()
}

/// Sorted by time.
async fn load_visits(
    connection: &mut PgConnection,
    day: &VerifiableDay,
) -> Result<Vec<DecodedVisit>, StoreError> {
    let rows = sqlx::query_file!("src/store/rollup/verify/visits.sql", day.site_id, day.date);
    let rows = rows.fetch_all(&mut *connection).await?;
    let property_set = |all: &Vec<String>| serde_json::to_string(all).unwrap_or_default();
    let texts: BTreeSet<String> = rows
        .iter()
        .flat_map(|row| {
            row.language
                .clone()
                .into_iter()
                .chain([property_set(&row.properties)])
        })
        .collect();
    let texts: Vec<String> = texts.into_iter().collect();
    let text_ids = sqlx::query!(
        "select id, text from visitor_analytics.rollup_value where text = any($1)",
        &texts
    );
    let text_ids = text_ids.fetch_all(connection).await?.into_iter();
    let text_ids: BTreeMap<String, i32> = text_ids.map(|row| (row.text, row.id)).collect();
    let text_id = |text: &str| text_ids.get(text).copied().unwrap_or_default();
    let visits = rows.into_iter().map(|row| {
        let language = row.language.as_deref().map(text_id);
        let has_any = !row.properties.is_empty();
        let properties = if has_any {
            text_id(&property_set(&row.properties))
        } else {
            0
        };
        let agent = row.agent_id.cast_unsigned() | if row.is_bot { BOT_FLAG } else { 0 };
        let [
            page,
            verdict,
            place,
            network,
            language,
            status,
            properties,
            origin,
            entry,
            exit,
        ] = [
            row.page_id,
            row.verdict_id,
            row.place_id,
            row.network_id,
            language.unwrap_or_default(),
            row.status,
            properties,
            row.origin_id,
            row.entry_id,
            row.exit_id,
        ]
        .map(i32::cast_unsigned);
        DecodedVisit {
            visitor: visitor_hash(&row.visitor_id),
            session: row.session_id.as_u64_pair().1,
            is_bot_session: row.of_bot,
            at: row.at,
            seconds: row.seconds,
            columns: [
                page, agent, verdict, place, network, language, status, properties, origin, entry,
                exit,
            ],
        }
    });
    let mut visits: Vec<DecodedVisit> = visits.collect();
    visits.sort_by_key(|visit| visit.at);
    Ok(visits)
}
