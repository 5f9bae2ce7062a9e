//! The realtime report, computed directly from the visits.

use chassis::database::StoreError;
use chrono::{DateTime, TimeDelta, Utc};
use sqlx::{Postgres, QueryBuilder};

use super::filter_sql;
use super::site::ReportSite;
use crate::domain::visit_filter::VisitFilter;
use crate::store::VisitStore;

/// Visitors with a visit in this window are active.
const ACTIVE_WINDOW: TimeDelta = TimeDelta::minutes(5);
/// The minutes that the report covers.
pub const REALTIME_MINUTES: i64 = 30;
const MAX_TOP_VALUES: i64 = 10;

#[derive(Clone, Debug, Default)]
pub struct RealtimeReport {
    /// The number of active visitors.
    pub visitors_now: i64,
    /// Visitors and visits by minute, oldest first. Minutes without visits are missing.
    pub minutes: Vec<(DateTime<Utc>, i64, i64)>,
    /// Visitors and visits by page, the most visited first.
    pub pages: Vec<(Option<String>, i64, i64)>,
    /// Visitors and visits by country code.
    pub countries: Vec<(Option<String>, i64, i64)>,
    /// Visitors and visits by source, for sessions that began in this time.
    pub sources: Vec<(Option<String>, i64, i64)>,
}

/// A row of the query. `kind` is 0 for all active visitors, 1 for a minute, 2 for a page, 3 for a
/// country, 4 for a source.
#[derive(sqlx::FromRow)]
struct RealtimeRow {
    kind: i32,
    minute: Option<DateTime<Utc>>,
    value: Option<String>,
    visitors: i64,
    visits: i64,
}

/// The rest of the statement after the selection of the visits.
const TOP_VALUES_SQL: &str = "),
    listed as (
        select 2 as kind, p.path as value, r.visitor_id
        from recent r join visitor_analytics.page p on p.id = r.page_id
        union all
        select 3, l.country_code, r.visitor_id
        from recent r left join visitor_analytics.place l on l.id = r.place_id
        union all
        select 4, o.source, r.visitor_id
        from recent r
        join visitor_analytics.session s on s.visitor_id = r.visitor_id
            and s.started_at = r.timestamp and s.entry_visit_id = r.id
        join visitor_analytics.origin o on o.id = r.origin_id),
    ranked as (
        select kind, value, count(distinct visitor_id) as visitors, count(*) as visits,
               row_number() over (partition by kind order by count(*) desc,
                   count(distinct visitor_id) desc, value nulls first) as place
        from listed group by kind, value)
    select 0 as kind, null::timestamptz as minute, null as value,
           count(distinct visitor_id) as visitors, count(*) as visits, 0::bigint as place
    from recent where is_here
    union all
    select 1, date_trunc('minute', timestamp), null, count(distinct visitor_id), count(*), 0
    from recent group by 2
    union all
    select kind, null, value, visitors, visits, place from ranked where place <= ";

impl VisitStore {
    /// Reports the last half hour of a site. The filter applies to each visit on its own.
    pub async fn realtime(
        &self,
        site: &ReportSite,
        filter: &VisitFilter,
        now: DateTime<Utc>,
    ) -> Result<RealtimeReport, StoreError> {
        let mut select = QueryBuilder::<Postgres>::new(
            "with recent as materialized (
                 select v.id, v.timestamp, v.visitor_id, v.page_id, v.place_id, v.origin_id,
                        v.timestamp > ",
        );
        select.push_bind(now - ACTIVE_WINDOW);
        select.push(" as is_here from visitor_analytics.visit v where v.site_id = ");
        select.push_bind(site.id).push(" and v.timestamp > ");
        select.push_bind(now - TimeDelta::minutes(REALTIME_MINUTES));
        select.push(" and v.timestamp <= ").push_bind(now);
        if let Some(is_bot) = filter.is_bot {
            select.push(" and v.is_bot = ").push_bind(is_bot);
        }
        filter_sql::push_filters(&mut select, &filter.filters, filter.time_zone);
        select
            .push(TOP_VALUES_SQL)
            .push_bind(MAX_TOP_VALUES)
            .push(" order by 1, 2, 6");
        let mut realtime = RealtimeReport::default();
        let rows: Vec<RealtimeRow> = select.build_query_as().fetch_all(&self.pool).await?;
        for row in rows {
            let list = match row.kind {
                0 => {
                    realtime.visitors_now = row.visitors;
                    continue;
                }
                1 => {
                    let minute = row.minute.unwrap_or_default();
                    realtime.minutes.push((minute, row.visitors, row.visits));
                    continue;
                }
                2 => &mut realtime.pages,
                3 => &mut realtime.countries,
                _ => &mut realtime.sources,
            };
            list.push((row.value, row.visitors, row.visits));
        }
        Ok(realtime)
    }
}
