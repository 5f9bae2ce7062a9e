//! Compares path rollups of days with the visits, and those of months with their days.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Range;

use chassis::database::StoreError;
use chrono::Datelike as _;
use rollups::aggregate::{NO_VALUE, ValueId};
use rollups::paths::{
    self, AdjacentPages, MAX_DAY_PATHS, MAX_PATH_DEPTH, PathCounts, adjacent_pages,
};
use sqlx::PgConnection;

use super::decoded_visit::DecodedVisit;
use super::{CORRUPT_VERIFIED_METRICS, MetricMismatch, RollupComparison, VerifiableDay};

/// Compares the paths of a day with the visits of its sessions, which are sorted by time.
pub(super) async fn compare_paths(
    connection: &mut PgConnection,
    day: &VerifiableDay,
    seconds: &Range<i64>,
    visits: &[DecodedVisit],
    comparison: &mut RollupComparison,
) -> Result<(), StoreError> {
    let rows = sqlx::query!(
        "select depth, ways from visitor_analytics.rollup_ways
         where site_id = $1 and day = $2 and not is_month",
        day.site_id,
        day.date,
    );
    let rows = rows.fetch_all(&mut *connection).await?.into_iter();
    let rows: BTreeMap<i16, Vec<u8>> = rows.map(|row| (row.depth, row.ways)).collect();
    let paths = load_path_ids(&mut *connection, visits).await?;
    let mut sessions: BTreeMap<u64, Vec<(&DecodedVisit, ValueId)>> = BTreeMap::new();
    for visit in visits {
        let path = paths.get(&visit.columns[0]).copied().unwrap_or(NO_VALUE);
        sessions
            .entry(visit.session)
            .or_default()
            .push((visit, path));
    }
    for pages in sessions.values_mut() {
        pages.dedup_by_key(|(_, page)| *page);
    }
    let none = paths::sum_days(&[]).unwrap_or_default();
    for class in [false, true] {
        let class_sessions = || {
            sessions
                .values()
                .filter(|pages| pages[0].0.is_bot_session == class)
        };
        for depth in 1..=MAX_PATH_DEPTH {
            let mut counted = PathCounts::default();
            for pages in class_sessions().filter(|pages| seconds.contains(&pages[0].0.at)) {
                let mut path_key = ([NO_VALUE; MAX_PATH_DEPTH], pages.len() > depth);
                for (place, (_, page)) in path_key.0.iter_mut().zip(pages.iter().take(depth)) {
                    *place = *page;
                }
                *counted.counts.entry(path_key).or_default() += 1;
                counted.sessions += 1;
            }
            let mut folded = PathCounts::default();
            let bytes = i16::try_from(depth).ok().and_then(|depth| rows.get(&depth));
            folded
                .add_encoded(bytes.unwrap_or(&none), Some(class))
                .ok_or(CORRUPT_VERIFIED_METRICS)?;
            comparison.compared += counted.counts.len() + 1;
            if folded.most_frequent(MAX_DAY_PATHS) != counted.most_frequent(MAX_DAY_PATHS)
                || folded.sessions != counted.sessions
            {
                comparison
                    .mismatches
                    .push(path_mismatch("paths", depth, class, &folded, &counted));
            }
        }
        let mut counted: BTreeMap<ValueId, AdjacentPages> = BTreeMap::new();
        for pages in class_sessions() {
            let page = |place: usize| pages.get(place).map_or(NO_VALUE, |(_, page)| *page);
            for (place, (visit, _)) in pages.iter().enumerate() {
                if seconds.contains(&visit.at) {
                    let adjacent = counted.entry(page(place)).or_default();
                    let before = place.checked_sub(1).map_or(NO_VALUE, page);
                    *adjacent.before.entry(before).or_default() += 1;
                    *adjacent.after.entry(page(place + 1)).or_default() += 1;
                    adjacent.visits += 1;
                }
            }
        }
        let bytes = rows.get(&0).map_or(&[0][..], Vec::as_slice);
        for (page, counted) in counted {
            let mut folded = AdjacentPages::default();
            folded
                .add_encoded(bytes, Some(class), |other| other == page)
                .ok_or(CORRUPT_VERIFIED_METRICS)?;
            comparison.compared += counted.before.len() + counted.after.len();
            if (&folded.before, &folded.after) != (&counted.before, &counted.after) {
                comparison.mismatches.push(MetricMismatch {
                    dimension: "adjacent pages",
                    value: Some(page.to_string()),
                    is_bot: class,
                    metric: "visits",
                    folded: Some(folded.visits),
                    counted: Some(counted.visits),
                });
            }
        }
    }
    if day.date.day() == 1 {
        compare_months(connection, day, comparison).await?;
    }
    Ok(())
}

async fn compare_months(
    connection: &mut PgConnection,
    first: &VerifiableDay,
    comparison: &mut RollupComparison,
) -> Result<(), StoreError> {
    let rows = sqlx::query!(
        "select depth, ways from visitor_analytics.rollup_ways
         where site_id = $1 and day = $2 and is_month",
        first.site_id,
        first.date,
    );
    for row in rows.fetch_all(&mut *connection).await? {
        let days = sqlx::query_scalar!(
            "select ways from visitor_analytics.rollup_ways
             where site_id = $1 and depth = $2 and not is_month
               and day >= $3 and day < $3 + interval '1 month'",
            first.site_id,
            row.depth,
            first.date,
        );
        let days = days.fetch_all(&mut *connection).await?;
        let sum = match row.depth {
            0 => adjacent_pages::sum_days(&days),
            _ => paths::sum_days(&days),
        };
        comparison.compared += 1;
        if sum.ok_or(CORRUPT_VERIFIED_METRICS)? != row.ways {
            let depth = usize::try_from(row.depth).unwrap_or_default();
            let none = PathCounts::default();
            let difference = path_mismatch("paths of the month", depth, false, &none, &none);
            comparison.mismatches.push(difference);
        }
    }
    Ok(())
}

fn path_mismatch(
    dimension: &'static str,
    depth: usize,
    is_bot: bool,
    folded: &PathCounts,
    counted: &PathCounts,
) -> MetricMismatch {
    MetricMismatch {
        dimension,
        value: Some(depth.to_string()),
        is_bot,
        metric: "sessions",
        folded: Some(folded.sessions),
        counted: Some(counted.sessions),
    }
}

/// The ids of the texts of the pages' paths.
async fn load_path_ids(
    connection: &mut PgConnection,
    visits: &[DecodedVisit],
) -> Result<HashMap<u32, ValueId>, StoreError> {
    let pages: BTreeSet<u32> = visits.iter().map(|visit| visit.columns[0]).collect();
    let pages: Vec<i32> = pages.into_iter().map(u32::cast_signed).collect();
    let rows = sqlx::query!(
        "select p.id as page, v.id as path from visitor_analytics.page p
         join visitor_analytics.rollup_value v on v.text = p.path where p.id = any($1)",
        &pages
    );
    let rows = rows.fetch_all(connection).await?.into_iter();
    let rows = rows.map(|row| (row.page.cast_unsigned(), row.path.cast_unsigned()));
    Ok(rows.collect())
}
