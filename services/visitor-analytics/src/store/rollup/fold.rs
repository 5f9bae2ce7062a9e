//! Reads the visits of a day once, and computes rollups and column blocks from them.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use chassis::database::StoreError;
use chrono::{DateTime, TimeDelta, Utc};
use chrono_tz::Tz;
use futures::TryStreamExt as _;
use rollups::aggregate::DayAggregator;
use rollups::column_block::{self, BlockBuilder, ColumnBlock, ColumnKind};
use rollups::day::LocalDay;
use rollups::dimension::Dimension;
use rollups::query::Attribute;
use sqlx::PgPool;
use uuid::Uuid;

use super::dictionary::ValueDictionary;
use super::visit_ids::VisitIds;
use super::{DayRollup, RollupRow, write};
use crate::domain::session::SESSION_TIMEOUT;
use crate::domain::visitor_id_kind::VisitorIdCounter;
use crate::store::dictionary::key;

/// Visits whose values are loaded together.
const LOOKUP_BATCH_VISITS: usize = 4_000;

/// Folds a day of a site. A change between the statements gives the day another mark, which is
/// detected when the rollup is written.
pub(super) async fn fold_visits(
    pool: &PgPool,
    site_id: i32,
    zone: Tz,
    day: LocalDay,
) -> Result<DayRollup, StoreError> {
    let (crossing, from, to) = crossing_sessions(pool, site_id, &day).await?;
    let properties = report_properties(pool, site_id).await?;
    let visits = sqlx::query_as!(
        VisitIds,
        r#"select id, visitor_id, session_id, timestamp, is_bot, page_id, origin_id, agent_id,
                  verdict_id, place_id, network_id, status_code, language,
                  case when properties is not null and $7::text[] <> '{}' then array(
                      select name || '=' || left(properties ->> name, 200) from unnest($7::text[]) name
                      where jsonb_typeof(properties -> name) in ('string', 'number', 'boolean')
                      order by name collate "C") end as "properties: Vec<String>"
           from visitor_analytics.visit
           where site_id = $1 and timestamp >= $2 and timestamp <= $3
             and (timestamp >= $4 and timestamp < $5 or session_id = any($6))
           order by visitor_id collate "C", session_id, timestamp, id"#,
        site_id,
        from,
        to,
        day.from,
        day.to,
        &crossing,
        &properties,
    );
    let mut chunks = visits.fetch(pool).try_chunks(LOOKUP_BATCH_VISITS);
    let mut dictionary = ValueDictionary::new(zone);
    let mut aggregator = DayAggregator::new(day.from.timestamp()..day.to.timestamp());
    let mut block_builder = BlockBuilder::new(day.from.timestamp());
    let mut visitor_ids = VisitorIdCounter::default();
    let mut texts = HashMap::new();
    while let Some(visits) = chunks.try_next().await.map_err(|error| error.1)? {
        dictionary.load(pool, &visits).await?;
        load_text_ids(pool, &mut texts, &visits).await?;
        for visit in visits {
            let resolved = dictionary.resolve_visit(&visit);
            let row = block_row(&visit, &texts);
            block_builder.add(&visit.visitor_id, visit.session_id, row, visitor_hash);
            aggregator.add(&visit.visitor_id, visit.session_id, resolved);
            visitor_ids.add(&visit.visitor_id, visit.id, visit.timestamp);
        }
    }
    let rows = aggregator
        .finish()
        .into_iter()
        .map(|((key, is_bot), metrics)| RollupRow {
            dimension: key.dimension,
            is_bot,
            value: dictionary.text(key.value),
            metrics,
        });
    let rows = rows.collect();
    let blocks: Vec<Arc<ColumnBlock>> = block_builder.finish().into_iter().map(Arc::new).collect();
    let mut paths = HashMap::new();
    for page in blocks
        .iter()
        .flat_map(|block| &block.column(ColumnKind::Page).values)
    {
        let path = dictionary.values(Attribute::Dimension(Dimension::Page), *page);
        let path = path.first().and_then(|path| dictionary.text(*path));
        paths.extend(path.map(|path| (*page, path)));
    }
    Ok(DayRollup {
        rows,
        blocks,
        paths,
        visitor_ids: visitor_ids.kinds(),
        day,
    })
}

/// The properties on which a site reports.
async fn report_properties(pool: &PgPool, site_id: i32) -> Result<Vec<String>, StoreError> {
    let properties = sqlx::query_scalar!(
        "select properties from visitor_analytics.site where id = $1",
        site_id
    );
    Ok(properties.fetch_one(pool).await?)
}

/// The first 64 bits of the key that dictionary tables use.
#[must_use]
pub fn visitor_hash(visitor: &str) -> u64 {
    key([Some(visitor.as_bytes())]).as_u64_pair().0
}

fn block_row(visit: &VisitIds, texts: &HashMap<Arc<str>, i32>) -> column_block::BlockRow {
    let id = |id: Option<i32>| id.map_or(0, i32::cast_unsigned);
    let number = |text: Option<&str>| id(text.and_then(|text| texts.get(text).copied()));
    column_block::BlockRow {
        timestamp: visit.timestamp.timestamp(),
        is_bot: visit.is_bot,
        page: id(Some(visit.page_id)),
        origin: id(Some(visit.origin_id)),
        agent: id(Some(visit.agent_id)),
        verdict: id(Some(visit.verdict_id)),
        place: id(visit.place_id),
        network: id(visit.network_id),
        language: number(visit.language.as_deref()),
        status: visit
            .status_code
            .map_or(0, |code| u32::from(code.cast_unsigned())),
        properties: number(visit.properties_json().as_deref()),
    }
}

/// Loads the ids of languages and property sets that are not loaded yet.
async fn load_text_ids(
    pool: &PgPool,
    ids: &mut HashMap<Arc<str>, i32>,
    visits: &[VisitIds],
) -> Result<(), StoreError> {
    let sets: Vec<String> = visits
        .iter()
        .filter_map(VisitIds::properties_json)
        .collect();
    let languages = visits.iter().filter_map(|visit| visit.language.as_deref());
    let texts = languages.chain(sets.iter().map(String::as_str));
    let new: BTreeSet<&str> = texts.filter(|text| !ids.contains_key(*text)).collect();
    let new: Vec<Arc<str>> = new.into_iter().map(Arc::from).collect();
    ids.extend(write::ensure_value_ids(pool, new.iter()).await?);
    Ok(())
}

/// The sessions that may begin before the day or end after it, and a period that contains the day
/// and these sessions.
async fn crossing_sessions(
    pool: &PgPool,
    site_id: i32,
    day: &LocalDay,
) -> Result<(Vec<Uuid>, DateTime<Utc>, DateTime<Utc>), StoreError> {
    let sessions = sqlx::query_scalar!(
        "select distinct session_id from visitor_analytics.visit
         where site_id = $1 and (timestamp >= $2 and timestamp < $3
                              or timestamp >= $4 and timestamp < $5)",
        site_id,
        day.from - SESSION_TIMEOUT,
        day.from,
        day.to,
        day.to + SESSION_TIMEOUT,
    );
    let sessions = sessions.fetch_all(pool).await?;
    let period = sqlx::query!(
        "select min(started_at) as earliest, max(last_seen_at) as latest
         from visitor_analytics.session where id = any($1)
           and last_seen_at >= $2 and started_at < $3",
        &sessions,
        day.from,
        day.to,
    );
    let period = period.fetch_one(pool).await?;
    let last = day.to - TimeDelta::microseconds(1);
    let from = period.earliest.map_or(day.from, |at| at.min(day.from));
    let to = period.latest.map_or(last, |at| at.max(last));
    Ok((sessions, from, to))
}
