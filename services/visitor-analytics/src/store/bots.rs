//! What was filtered: bots' visits, counted.

use std::collections::HashMap;

use chrono::{DateTime, Utc};

use super::{Store, StoreError};

/// Which visits to count.
#[derive(Clone, Debug)]
pub struct BotsQuery {
    /// Only this site's.
    pub site: Option<String>,
    /// Not earlier than this.
    pub from: DateTime<Utc>,
    /// Earlier than this.
    pub to: DateTime<Utc>,
    /// What a point in time is.
    pub interval: Interval,
    /// Whose days they are: an IANA name that the database knows.
    pub time_zone: chrono_tz::Tz,
    /// At most so many values of each kind.
    pub limit: usize,
}

/// The distance of points in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "their names say what they are")]
pub enum Interval {
    Hour,
    Day,
    Week,
    Month,
}

impl Interval {
    /// `PostgreSQL`'s word for it.
    const fn word(self) -> &'static str {
        match self {
            Self::Hour => "hour",
            Self::Day => "day",
            Self::Week => "week",
            Self::Month => "month",
        }
    }
}

/// A value and its visits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Share {
    /// The value; `None` where none is known.
    pub value: Option<String>,
    /// How many visits.
    pub visits: i64,
}

/// Bots' visits, by what is known of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bots {
    /// All visits, people's too.
    pub visits: i64,
    /// Bots' visits.
    pub bot_visits: i64,
    /// By name, the most first.
    pub names: Vec<Share>,
    /// By category.
    pub categories: Vec<Share>,
    /// By reason; a visit may have several.
    pub reasons: Vec<Share>,
    /// Over time, from the first to the last point that has any.
    pub points: Vec<(DateTime<Utc>, i64)>,
}

impl Store {
    /// Counts bots' visits.
    pub async fn bots(&self, query: &BotsQuery) -> Result<Bots, StoreError> {
        let rows = sqlx::query!(
            r#"select c.moment as "moment!", c.visits as "visits!", c.is_bot as "is_bot!",
                      j.bot_name, j.category, j.reasons
               from (select v.verdict_id, v.is_bot,
                            date_trunc($4, v.timestamp, $5) as moment, count(*) as visits
                     from visitor_analytics.site s
                     join visitor_analytics.visit v on v.site_id = s.id
                      and v.timestamp >= $2 and v.timestamp < $3
                     where $1::text is null or s.domain = $1
                     group by 1, 2, 3) c
               join visitor_analytics.verdict j on j.id = c.verdict_id"#,
            query.site.as_deref(),
            query.from,
            query.to,
            query.interval.word(),
            query.time_zone.name(),
        )
        .fetch_all(&self.pool)
        .await?;
        let mut bots = Bots::default();
        let mut names: HashMap<Option<String>, i64> = HashMap::new();
        let mut categories: HashMap<Option<String>, i64> = HashMap::new();
        let mut reasons: HashMap<Option<String>, i64> = HashMap::new();
        let mut points: HashMap<DateTime<Utc>, i64> = HashMap::new();
        for row in rows {
            bots.visits += row.visits;
            if !row.is_bot {
                continue;
            }
            bots.bot_visits += row.visits;
            *names.entry(row.bot_name).or_default() += row.visits;
            *categories.entry(row.category).or_default() += row.visits;
            *points.entry(row.moment).or_default() += row.visits;
            for reason in row.reasons {
                *reasons.entry(Some(reason)).or_default() += row.visits;
            }
        }
        bots.names = largest(names, query.limit);
        bots.categories = largest(categories, query.limit);
        bots.reasons = largest(reasons, query.limit);
        bots.points = points.into_iter().collect();
        bots.points.sort_unstable();
        Ok(bots)
    }
}

fn largest(counts: HashMap<Option<String>, i64>, limit: usize) -> Vec<Share> {
    let share = |(value, visits)| Share { value, visits };
    let mut shares: Vec<Share> = counts.into_iter().map(share).collect();
    shares.sort_unstable_by(|a, b| (b.visits, &a.value).cmp(&(a.visits, &b.value)));
    shares.truncate(limit);
    shares
}
