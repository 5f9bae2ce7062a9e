//! Verifies the rollups and column blocks of folded days by plain SQL over the visits. It shares no
//! code with the fold.

mod decoded_visit;
mod paths;
mod visits;

use std::collections::{BTreeMap, BTreeSet};

use chassis::database::StoreError;
use chrono::{Datelike as _, NaiveDate};
use rollups::aggregate::Metrics;
use rollups::aggregate_codec::{MetricSums, add_encoded};
use rollups::dimension::Dimension;
use sqlx::PgConnection;

use crate::store::rollup::rollup_store::RollupStore;

const CORRUPT_VERIFIED_METRICS: StoreError = StoreError::Corrupt("a rollup");

/// A day of a site that has visits or rollups.
#[derive(Clone, Debug)]
pub struct VerifiableDay {
    pub site_id: i32,
    pub site: String,
    pub date: NaiveDate,
    /// Whether visits of the day have expired.
    pub is_dropped: bool,
}

/// The result of verifying a day.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum VerifyOutcome {
    /// The day is dirty; reports compute it from its visits.
    Dirty,
    /// The number of compared values, and the differences.
    Compared(usize, Vec<MetricMismatch>),
}

/// A value in a rollup that differs from the visits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MetricMismatch {
    /// The dimension, or another name of what was compared.
    pub dimension: &'static str,
    pub value: Option<String>,
    /// Whether the value is about bots' sessions.
    pub is_bot: bool,
    /// The name of the metric.
    pub metric: &'static str,
    /// The value in the rollup; `None` if it has no row.
    pub folded: Option<i64>,
    /// The value computed from the visits; `None` if there are none.
    pub counted: Option<i64>,
}

/// Metrics by dimension, bot flag and value.
type MetricsByKey = BTreeMap<(i16, bool, Option<String>), Metrics>;

impl RollupStore {
    /// The days of a site or of all sites from `from` to `to`, inclusive.
    pub async fn days_to_verify(
        &self,
        site: Option<&str>,
        from: Option<NaiveDate>,
        to: Option<NaiveDate>,
    ) -> Result<Vec<VerifiableDay>, StoreError> {
        let days = sqlx::query_as!(
            VerifiableDay,
            r#"select s.id as "site_id!", s.domain as "site!", d.day as "date!",
                      coalesce(d.start < visitor_analytics.kept_since(s.id), false) as "is_dropped!"
               from visitor_analytics.site s
               cross join lateral (
                   select least((min(v.timestamp) at time zone s.time_zone)::date,
                                (select min(day) from visitor_analytics.rollup_day r
                                 where r.site_id = s.id and r.dimension = 0)) as first,
                          greatest((max(v.timestamp) at time zone s.time_zone)::date,
                                (select max(day) from visitor_analytics.rollup_day r
                                 where r.site_id = s.id and r.dimension = 0)) as last
                   from visitor_analytics.visit v where v.site_id = s.id) p
               cross join lateral (
                   select day::date as day, day::timestamp at time zone s.time_zone as start,
                          (day + interval '1 day')::timestamp at time zone s.time_zone as stop
                   from generate_series(greatest(p.first::timestamp, $2::date::timestamp),
                            least(p.last::timestamp, $3::date::timestamp), interval '1 day') day
               ) d
               where ($1::text is null or s.domain = $1)
                 and (exists (select from visitor_analytics.visit v where v.site_id = s.id
                              and v.timestamp >= d.start and v.timestamp < d.stop)
                      or exists (select from visitor_analytics.rollup_day r
                                 where r.site_id = s.id and r.dimension = 0 and r.day = d.day))
               order by s.domain, d.day"#,
            site,
            from,
            to,
        );
        Ok(days.fetch_all(&self.pool).await?)
    }

    /// Compares the rollups of a day with its visits in one snapshot. For the first day of a month,
    /// compares the monthly rollup with the days as well.
    pub async fn verify_day(&self, day: &VerifiableDay) -> Result<VerifyOutcome, StoreError> {
        let mut transaction = self.pool.begin().await?;
        sqlx::query!("set transaction isolation level repeatable read, read only")
            .execute(&mut *transaction)
            .await?;
        // The transaction holds no locks and is idle while the results are computed.
        sqlx::query!("set local idle_in_transaction_session_timeout = 0")
            .execute(&mut *transaction)
            .await?;
        let is_unfolded = sqlx::query_scalar!(
            r#"select exists (select from visitor_analytics.unfolded_day
                              where site_id = $1 and day = $2) as "is!""#,
            day.site_id,
            day.date,
        );
        if is_unfolded.fetch_one(&mut *transaction).await? {
            return Ok(VerifyOutcome::Dirty);
        }
        let mut comparison = RollupComparison::default();
        let folded = load_rollups(&mut transaction, day).await?;
        let counted = compute_metrics(&mut transaction, day).await?;
        comparison.compare_all("", &folded, &counted);
        if day.date.day() == 1 {
            let (month, days) = load_month(&mut transaction, day).await?;
            if !month.is_empty() {
                comparison.compare_all("month", &month, &days);
            }
        }
        self.compare_visits(&mut transaction, day, &mut comparison)
            .await?;
        Ok(VerifyOutcome::Compared(
            comparison.compared,
            comparison.mismatches,
        ))
    }
}

#[derive(Debug, Default)]
struct RollupComparison {
    compared: usize,
    mismatches: Vec<MetricMismatch>,
}

impl RollupComparison {
    /// Compares metrics. `what` replaces the names of dimensions unless it is empty.
    fn compare_all(&mut self, what: &'static str, folded: &MetricsByKey, counted: &MetricsByKey) {
        let keys: BTreeSet<_> = folded.keys().chain(counted.keys()).collect();
        for key in keys {
            let dimension = Dimension::from_code(key.0).map_or("unknown", Dimension::name);
            let name = if what.is_empty() { dimension } else { what };
            let pair = (folded.get(key), counted.get(key));
            self.compare(name, key.2.as_deref(), key.1, pair);
        }
    }

    fn compare(
        &mut self,
        dimension: &'static str,
        value: Option<&str>,
        is_bot: bool,
        (folded, counted): (Option<&Metrics>, Option<&Metrics>),
    ) {
        type MetricGetter = fn(&Metrics) -> i64;
        let names: [(&'static str, MetricGetter); 5] = [
            ("visits", |n| n.visits),
            ("visitors", |n| n.visitors),
            ("sessions", |n| n.sessions),
            ("bounces", |n| n.bounces),
            ("seconds", |n| n.seconds),
        ];
        for (metric, getter) in names {
            self.compared += 1;
            let (folded, counted) = (folded.map(getter), counted.map(getter));
            if folded != counted {
                self.mismatches.push(MetricMismatch {
                    dimension,
                    value: value.map(str::to_owned),
                    is_bot,
                    metric,
                    folded,
                    counted,
                });
            }
        }
    }
}

async fn compute_metrics(
    connection: &mut PgConnection,
    day: &VerifiableDay,
) -> Result<MetricsByKey, StoreError> {
    let rows = sqlx::query_file!("src/store/rollup/verify/numbers.sql", day.site_id, day.date);
    let rows = rows.fetch_all(connection).await?.into_iter().map(|row| {
        let dimension = i16::try_from(row.dimension).unwrap_or(i16::MAX);
        let metrics = Metrics {
            visits: row.visits,
            visitors: row.visitors,
            sessions: row.sessions,
            bounces: row.bounces,
            seconds: row.seconds,
        };
        ((dimension, row.is_bot, row.value), metrics)
    });
    Ok(rows.collect())
}

async fn load_rollups(
    connection: &mut PgConnection,
    day: &VerifiableDay,
) -> Result<MetricsByKey, StoreError> {
    let rows = sqlx::query!(
        "select dimension, numbers from visitor_analytics.rollup_day
         where site_id = $1 and day = $2 and dimension between 0 and 99",
        day.site_id,
        day.date,
    );
    let rows = rows.fetch_all(&mut *connection).await?.into_iter();
    decode_metrics(connection, rows.map(|row| (row.dimension, row.numbers))).await
}

/// The metrics of a month's rollup, and the sums of the rollups of its days.
async fn load_month(
    connection: &mut PgConnection,
    first: &VerifiableDay,
) -> Result<(MetricsByKey, MetricsByKey), StoreError> {
    let rows = sqlx::query!(
        "select dimension, numbers from visitor_analytics.rollup_month
         where site_id = $1 and month = $2 and dimension between 0 and 99",
        first.site_id,
        first.date,
    );
    let months = rows.fetch_all(&mut *connection).await?.into_iter();
    let months = months.map(|row| (row.dimension, row.numbers));
    let months = decode_metrics(connection, months).await?;
    let rows = sqlx::query!(
        "select dimension, numbers from visitor_analytics.rollup_day
         where site_id = $1 and day >= $2 and day < $2 + interval '1 month'
           and dimension between 0 and 99",
        first.site_id,
        first.date,
    );
    let days = rows.fetch_all(&mut *connection).await?.into_iter();
    let days = decode_metrics(connection, days.map(|row| (row.dimension, row.numbers))).await?;
    Ok((months, days))
}

/// Decodes and sums encoded metrics.
async fn decode_metrics(
    connection: &mut PgConnection,
    rows: impl Iterator<Item = (i16, Vec<u8>)>,
) -> Result<MetricsByKey, StoreError> {
    let mut sums_by_dimension: BTreeMap<i16, [MetricSums; 2]> = BTreeMap::new();
    for (dimension, bytes) in rows {
        let sums = sums_by_dimension.entry(dimension).or_default();
        add_encoded(sums, &bytes, None).ok_or(CORRUPT_VERIFIED_METRICS)?;
    }
    let sums = sums_by_dimension
        .values()
        .flatten()
        .flat_map(MetricSums::entries);
    let ids: BTreeSet<i32> = sums.map(|(id, _)| id.cast_signed()).collect();
    let ids: Vec<i32> = ids.into_iter().collect();
    let texts = sqlx::query!(
        "select id, text from visitor_analytics.rollup_value where id = any($1)",
        &ids
    );
    let texts = texts.fetch_all(connection).await?.into_iter();
    let texts: BTreeMap<i32, String> = texts.map(|row| (row.id, row.text)).collect();
    let mut metrics_by_key = MetricsByKey::new();
    for (dimension, classes) in sums_by_dimension {
        for (class, sums) in classes.into_iter().enumerate() {
            for (id, metrics) in sums.into_entries() {
                let text = texts.get(&id.cast_signed()).cloned();
                metrics_by_key.insert((dimension, class == 1, text), metrics);
            }
        }
    }
    Ok(metrics_by_key)
}
