//! What is going on now, straight from the visits.

use chrono::{DateTime, TimeDelta, Utc};

use super::SiteOfReport;
use crate::store::{Store, StoreError};

/// Who has visited a page within this time is here.
const HERE: TimeDelta = TimeDelta::minutes(5);
/// Minutes that are told.
pub const MINUTES: i64 = 30;
/// Values of each list.
const MOST: i64 = 10;

/// What is going on.
#[derive(Clone, Debug, Default)]
pub struct Realtime {
    /// Who is here.
    pub visitors_now: i64,
    /// Visitors and visits of the last half hour, minute by minute, the oldest first; minutes
    /// without visits are left out.
    pub minutes: Vec<(DateTime<Utc>, i64, i64)>,
    /// Pages of the last half hour, with visitors and visits; the most visited first.
    pub pages: Vec<(Option<String>, i64, i64)>,
    /// Countries.
    pub countries: Vec<(Option<String>, i64, i64)>,
    /// Sources of the sessions that began.
    pub sources: Vec<(Option<String>, i64, i64)>,
}

impl Store {
    /// The last half hour of a site; `is_bot` picks visits by how they were judged themselves.
    pub async fn realtime(
        &self,
        site: &SiteOfReport,
        is_bot: Option<bool>,
        now: DateTime<Utc>,
    ) -> Result<Realtime, StoreError> {
        let rows = sqlx::query!(
            r#"with recent as materialized (
                   select v.id, v.timestamp, v.visitor_id, v.page_id, v.place_id, v.origin_id
                   from visitor_analytics.visit v
                   where v.site_id = $1 and v.timestamp > $2 and v.timestamp <= $3
                     and ($4::bool is null or v.is_bot = $4)),
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
               select 0 as "kind!", null::timestamptz as minute, null as value,
                      count(distinct visitor_id) as "visitors!", count(*) as "visits!", 0 as "place!"
               from recent where timestamp > $5
               union all
               select 1, date_trunc('minute', timestamp), null, count(distinct visitor_id),
                      count(*), 0
               from recent group by 2
               union all
               select kind, null, value, visitors, visits, place from ranked where place <= $6
               order by 1, 2, 6"#,
            site.id,
            now - TimeDelta::minutes(MINUTES),
            now,
            is_bot,
            now - HERE,
            MOST,
        );
        let mut realtime = Realtime::default();
        for row in rows.fetch_all(&self.pool).await? {
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
