//! What is asked.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::{AssertSqlSafe, PgPool};
use visitor_analytics::domain::dimension::Dimension;
use visitor_analytics::domain::pattern::Pattern;
use visitor_analytics::domain::question::{Filter, Interval, Period, Subject};
use visitor_analytics::store::{Asked, Breakdown, Order, SiteOfReport, Store};

use crate::Made;

/// How often each question is asked.
const TIMES: usize = 30;

/// A report.
enum Report {
    Series(Interval),
    By(Subject),
}

/// Asks both, and tells their times beside each other.
pub(crate) async fn ask_all(small: &Made, large: &Made, duck: &HashMap<String, Duration>) {
    let site = "shop.example";
    println!(
        "{:<44} {:>8} {:>8} {:>8} {:>8} {:>9} {:>8}",
        format!("{site}, ms"),
        "a tenth",
        "p95",
        "all",
        "p95",
        "plain SQL",
        "DuckDB"
    );
    let reports = [
        ("summary", Report::Series(Interval::Day)),
        ("by hour", Report::Series(Interval::Hour)),
        ("page", Report::By(Subject::Of(Dimension::Page))),
        ("entry_page", Report::By(Subject::Of(Dimension::EntryPage))),
        ("city", Report::By(Subject::Of(Dimension::City))),
        ("browser", Report::By(Subject::Of(Dimension::Browser))),
        ("weekday", Report::By(Subject::Weekday)),
    ];
    let filters = [
        ("", vec![]),
        (", country=C1", vec![filter(Dimension::Country, "C1")]),
        (", page=/p/1*", vec![filter(Dimension::Page, "/p/1*")]),
    ];
    for (name, filters) in filters {
        for days in [1, 7, 90] {
            for (report, what) in &reports {
                let asked = asked(&large.store, site, days, filters.clone(), large.now).await;
                let plain = plain(&large.pool, &asked, what, name).await;
                let what = (format!("{report}, {days} days{name}"), what);
                tell(small, large, &asked, &what, plain, duck).await;
            }
        }
    }
    let today = asked(&large.store, site, 0, vec![], large.now).await;
    let week = asked(&large.store, site, 7, vec![], large.now).await;
    let all = asked(&large.store, site, 90, vec![], large.now).await;
    let mut cut = week.clone();
    cut.period.from += TimeDelta::hours(5);
    let elsewhere = |asked: &Asked, zone| {
        let date = |moment: DateTime<Utc>| moment.with_timezone(&asked.site.zone).date_naive();
        let last = date(asked.period.to - TimeDelta::seconds(1));
        Asked {
            period: Period::days_of(zone, date(asked.period.from), last),
            ..asked.clone()
        }
    };
    let with_today = Asked {
        period: Period {
            to: today.period.to,
            ..all.period
        },
        ..all.clone()
    };
    let page = Report::By(Subject::Of(Dimension::Page));
    let others = [
        ("summary, today", &today, Report::Series(Interval::Day)),
        ("page, 90 days and today", &with_today, page),
        ("minutes, today", &today, Report::Series(Interval::Minute)),
        (
            "summary, 7 days less 5 hours",
            &cut,
            Report::Series(Interval::Day),
        ),
        (
            "by hour, 7 days less 5 hours",
            &cut,
            Report::Series(Interval::Hour),
        ),
        (
            "summary, 90 days in Tokyo",
            &elsewhere(&all, chrono_tz::Tz::Asia__Tokyo),
            Report::Series(Interval::Day),
        ),
        (
            "by hour, 90 days in Tokyo",
            &elsewhere(&all, chrono_tz::Tz::Asia__Tokyo),
            Report::Series(Interval::Hour),
        ),
        (
            "summary, 90 days in New York",
            &elsewhere(&all, chrono_tz::Tz::America__New_York),
            Report::Series(Interval::Day),
        ),
    ];
    for (name, asked, report) in others {
        let what = (name.to_owned(), &report);
        tell(small, large, asked, &what, None, duck).await;
    }
}

async fn tell(
    small: &Made,
    large: &Made,
    asked: &Asked,
    (name, report): &(String, &Report),
    plain: Option<Duration>,
    duck: &HashMap<String, Duration>,
) {
    // Sites have the same numbers in both.
    let of_small = ask(&small.store, asked, report).await;
    let of_large = ask(&large.store, asked, report).await;
    let cell =
        |time: Option<Duration>| time.map_or(String::new(), |time| format!("{:.1}", ms(time)));
    println!(
        "{name:<44} {:>8.1} {:>8.1} {:>8.1} {:>8.1} {:>9} {:>8}",
        ms(of_small[TIMES / 2]),
        ms(of_small[TIMES * 95 / 100]),
        ms(of_large[TIMES / 2]),
        ms(of_large[TIMES * 95 / 100]),
        cell(plain),
        cell(duck.get(name).copied()),
    );
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

fn filter(dimension: Dimension, pattern: &str) -> Filter {
    Filter {
        property: None,
        subject: Subject::Of(dimension),
        any: vec![Pattern::parse(pattern).unwrap()],
        none: vec![],
    }
}

/// The last days that are over, so many; with none of them today, which is not.
async fn asked(
    store: &Store,
    site: &str,
    days: i64,
    filters: Vec<Filter>,
    now: DateTime<Utc>,
) -> Asked {
    let site: SiteOfReport = store.site_of_report(Some(site)).await.unwrap().unwrap();
    let today = now.with_timezone(&site.zone).date_naive();
    let last = if days == 0 {
        today
    } else {
        today - TimeDelta::days(1)
    };
    let first = last - TimeDelta::days((days - 1).max(0));
    Asked {
        period: Period::days_of(site.zone, first, last),
        site,
        filters: filters.into(),
        reach: None,
        now,
    }
}

async fn ask(store: &Store, asked: &Asked, report: &Report) -> Vec<Duration> {
    let mut times = vec![];
    for _ in 0..=TIMES {
        let begun = Instant::now();
        match report {
            Report::Series(interval) => _ = store.series(asked, *interval).await.unwrap(),
            Report::By(subject) => {
                let wanted = Breakdown {
                    property: None,
                    subject: *subject,
                    is_bot: Some(false),
                    order: Order::Visitors,
                    offset: 0,
                    limit: 50,
                };
                store.breakdown(asked, &wanted).await.unwrap();
            }
        }
        times.push(begun.elapsed());
    }
    // The first folds the day that is not over.
    times.remove(0);
    times.sort();
    times
}

/// The same numbers, but for how long visits lasted, straight from the visits; asked once.
async fn plain(pool: &PgPool, asked: &Asked, report: &Report, filter: &str) -> Option<Duration> {
    let value = match report {
        Report::Series(Interval::Day) => "null",
        Report::By(Subject::Of(Dimension::Page)) => "p.path",
        Report::By(Subject::Of(Dimension::City)) => "l.city",
        _ => return None,
    };
    let filter = match filter {
        "" => "true",
        ", country=C1" => "l.country_code = 'C1'",
        _ => "p.path like '/p/1%'",
    };
    let statement = format!(
        "select {value}, count(*), count(distinct (v.visitor_id, (v.timestamp at time zone $4)::date)),
                count(distinct v.session_id),
                count(distinct v.session_id) filter (where s.visits = 1)
         from visitor_analytics.visit v
         join visitor_analytics.session s on s.id = v.session_id and s.started_at >= $2 - interval '1 day'
              and s.started_at < $3
         join visitor_analytics.page p on p.id = v.page_id
         left join visitor_analytics.place l on l.id = v.place_id
         where v.site_id = $1 and v.timestamp >= $2 and v.timestamp < $3 and not s.is_bot and {filter}
         group by 1 order by 3 desc limit 50"
    );
    let begun = Instant::now();
    let query = sqlx::query(AssertSqlSafe(statement))
        .bind(asked.site.id)
        .bind(asked.period.from)
        .bind(asked.period.to)
        .bind(asked.period.zone.name());
    query.fetch_all(pool).await.unwrap();
    Some(begun.elapsed())
}
