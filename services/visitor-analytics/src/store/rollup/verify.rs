//! The numbers of folded days once more, by plain SQL over the visits: nothing here is shared with
//! what folds them.

use chrono::NaiveDate;

use crate::domain::dimension::Dimension;
use crate::store::{Store, StoreError};

/// A day of a site that has visits or was folded.
#[derive(Clone, Debug)]
pub struct DayOfSite {
    /// The site's number.
    pub site_id: i32,
    /// Its domain.
    pub site: String,
    /// Which day.
    pub date: NaiveDate,
    /// Whether visits of it have been dropped.
    pub is_dropped: bool,
}

/// What became of verifying a day.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is not folded: its numbers are read from its visits anyway.
    Unfolded,
    /// So many numbers were compared, and these differ.
    Compared(usize, Vec<Difference>),
}

/// A number that is not what the visits say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The dimension's name.
    pub dimension: &'static str,
    /// The value.
    pub value: Option<String>,
    /// Whether of bots' sessions.
    pub is_bot: bool,
    /// Which number.
    pub number: &'static str,
    /// What was folded; `None` without a row.
    pub folded: Option<i64>,
    /// What the visits say; `None` without any.
    pub counted: Option<i64>,
}

impl Store {
    /// The days of a site, or of all, from one date to another, both included.
    pub async fn days_to_verify(
        &self,
        site: Option<&str>,
        from: Option<NaiveDate>,
        to: Option<NaiveDate>,
    ) -> Result<Vec<DayOfSite>, StoreError> {
        let days = sqlx::query_as!(
            DayOfSite,
            r#"select s.id as "site_id!", s.domain as "site!", d.day as "date!",
                      coalesce(d.start < (select kept_since from visitor_analytics.visit_horizon),
                               false) as "is_dropped!"
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

    /// Compares what was folded of a day with its visits, at one moment.
    pub async fn verify_day(&self, day: &DayOfSite) -> Result<Verdict, StoreError> {
        let rows = sqlx::query_file!("src/store/rollup/verify.sql", day.site_id, day.date);
        let (mut numbers, mut differences) = (0, vec![]);
        for row in rows.fetch_all(&self.pool).await? {
            if row.is_unfolded {
                return Ok(Verdict::Unfolded);
            }
            let dimension = i16::try_from(row.dimension).ok();
            let dimension = dimension.and_then(Dimension::with_code);
            let dimension = dimension.map_or("unknown", Dimension::name);
            let pairs = row.folded.into_iter().zip(row.counted);
            for (number, (folded, counted)) in NUMBERS.into_iter().zip(pairs) {
                numbers += 1;
                if folded != counted {
                    differences.push(Difference {
                        dimension,
                        value: row.value.clone(),
                        is_bot: row.is_bot,
                        number,
                        folded,
                        counted,
                    });
                }
            }
        }
        Ok(Verdict::Compared(numbers, differences))
    }
}

/// In the order in which the statement gives them.
const NUMBERS: [&str; 5] = ["visits", "visitors", "sessions", "bounces", "seconds"];
