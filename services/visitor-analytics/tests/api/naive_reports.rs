//! Naive computation of reports over all visits in memory.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, NaiveDate, Utc};
use chrono_tz::Tz;
use sqlx::{PgPool, Row as _};

pub struct Visit {
    pub at: DateTime<Utc>,
    pub visitor: String,
    pub session: uuid::Uuid,
    /// Whether its session is a bot's.
    pub is_bot: bool,
    pub session_visits: usize,
    pub seconds: i64,
    /// Values by dimension. A visit may have several bot reasons.
    pub values: BTreeMap<&'static str, Vec<Option<String>>>,
}

/// Visits, visitors, sessions, bounces, seconds.
pub type Numbers = [i64; 5];

/// The dimensions that differ between the visits of a session.
const VISIT_DIMENSIONS: [&str; 16] = [
    "page",
    "title",
    "country",
    "region",
    "city",
    "browser",
    "browser_version",
    "os",
    "os_version",
    "device_type",
    "brand",
    "language",
    "status_code",
    "bot_name",
    "bot_category",
    "as_organization",
];
/// The dimensions that a session takes from its first visit.
const SESSION_DIMENSIONS: [&str; 9] = [
    "referrer",
    "source",
    "medium",
    "channel",
    "utm_source",
    "utm_medium",
    "utm_campaign",
    "utm_term",
    "utm_content",
];

/// All dimensions with a value in [`Visit::values`], except the properties.
pub fn dimensions() -> impl Iterator<Item = &'static str> {
    let others = ["entry_page", "exit_page", "bot_reason"];
    VISIT_DIMENSIONS
        .into_iter()
        .chain(SESSION_DIMENSIONS)
        .chain(others)
}

/// The visits of a site, grouped by session, in chronological order.
pub async fn visits(pool: &PgPool, site: &str) -> Vec<Visit> {
    let statement = "
        select v.timestamp, v.visitor_id, v.session_id, v.is_bot as one_is_bot, p.path as page,
               p.title, l.country_code as country, l.country_code || '-' || l.region_code as region,
               case when l.city is not null then coalesce(l.country_code || '-' || l.region_code,
                   l.country_code, '') || '/' || l.city end as city,
               a.browser, a.browser || ' ' || a.browser_version as browser_version, a.os,
               a.os || ' ' || a.os_version as os_version,
               case when v.is_bot then 'bot' else a.device_type end as device_type, a.brand, v.language,
               v.status_code::text, j.bot_name, j.category as bot_category, n.as_organization, j.reasons, case when v.properties ->> 'plan' not like '[%' then v.properties ->> 'plan' end as plan,
               v.properties ->> 'seats' as seats,
               o.referrer, o.source, o.medium, o.channel, o.utm_source, o.utm_medium,
               o.utm_campaign, o.utm_term, o.utm_content
        from visitor_analytics.visit v
        join visitor_analytics.site s on s.id = v.site_id
        join visitor_analytics.page p on p.id = v.page_id
        join visitor_analytics.origin o on o.id = v.origin_id
        join visitor_analytics.agent a on a.id = v.agent_id
        join visitor_analytics.verdict j on j.id = v.verdict_id
        left join visitor_analytics.place l on l.id = v.place_id
        left join visitor_analytics.network n on n.id = v.network_id
        where s.domain = $1 order by v.session_id, v.timestamp, v.id";
    let rows = sqlx::query(statement)
        .bind(site)
        .fetch_all(pool)
        .await
        .unwrap();
    let sessions: Vec<uuid::Uuid> = rows.iter().map(|row| row.get("session_id")).collect();
    let mut visits = vec![];
    for (index, row) in rows.iter().enumerate() {
        let mine = |i: &usize| sessions[*i] == sessions[index];
        let all: Vec<usize> = (0..rows.len()).filter(mine).collect();
        let (first, last) = (&rows[all[0]], &rows[all[all.len() - 1]]);
        let second = |i: usize| rows[i].get::<DateTime<Utc>, _>("timestamp").timestamp();
        let next = all.iter().find(|i| **i > index);
        let mut values = BTreeMap::new();
        for name in VISIT_DIMENSIONS {
            values.insert(name, vec![row.get::<Option<String>, _>(name)]);
        }
        for name in SESSION_DIMENSIONS {
            values.insert(name, vec![first.get::<Option<String>, _>(name)]);
        }
        values.insert("entry_page", vec![first.get("page")]);
        values.insert("exit_page", vec![last.get("page")]);
        let mut reasons: Vec<Option<String>> = row
            .get::<Vec<String>, _>("reasons")
            .into_iter()
            .map(Some)
            .collect();
        if reasons.is_empty() {
            reasons.push(None);
        }
        values.insert("bot_reason", reasons);
        for name in ["plan", "seats"] {
            values.insert(name, vec![row.get::<Option<String>, _>(name)]);
        }
        visits.push(Visit {
            at: row.get("timestamp"),
            visitor: row.get("visitor_id"),
            session: sessions[index],
            is_bot: all.iter().any(|i| rows[*i].get("one_is_bot")),
            session_visits: all.len(),
            seconds: next.map_or(0, |next| second(*next) - second(index)),
            values,
        });
    }
    visits
}

/// The numbers by value of the matching visits between two times. A visitor counts once, or once per
/// day if all ids last for a day.
pub fn numbers(
    visits: &[Visit],
    zone: Tz,
    (from, to): (DateTime<Utc>, DateTime<Utc>),
    class: Option<bool>,
    passes: &dyn Fn(&Visit) -> bool,
    values: &dyn Fn(&Visit) -> Vec<Option<String>>,
) -> BTreeMap<Option<String>, Numbers> {
    let mut numbers: BTreeMap<Option<String>, Numbers> = BTreeMap::new();
    let have_daily_ids = visits.iter().all(|visit| visit.visitor.len() == 32);
    let mut visitors: BTreeSet<(Option<NaiveDate>, &str, bool, Option<String>)> = BTreeSet::new();
    let mut sessions: BTreeSet<(uuid::Uuid, Option<String>)> = BTreeSet::new();
    let counted = visits
        .iter()
        .filter(|v| class.is_none_or(|c| v.is_bot == c) && passes(v));
    for visit in counted {
        for value in values(visit) {
            let is_first = sessions.insert((visit.session, value.clone()));
            if visit.at < from || visit.at >= to {
                continue;
            }
            let date = have_daily_ids.then(|| visit.at.with_timezone(&zone).date_naive());
            let visitor = (date, visit.visitor.as_str(), visit.is_bot, value.clone());
            let is_new = visitors.insert(visitor);
            let mine = numbers.entry(value).or_default();
            let is_bounce = is_first && visit.session_visits == 1;
            let more = [
                1,
                is_new.into(),
                is_first.into(),
                is_bounce.into(),
                visit.seconds,
            ];
            for (number, more) in mine.iter_mut().zip(more) {
                *number += more;
            }
        }
    }
    numbers
}
