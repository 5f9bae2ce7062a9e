//! What is asked.

use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::{AssertSqlSafe, PgPool};
use visitor_analytics::domain::dimension::Dimension;
use visitor_analytics::domain::pattern::Pattern;
use visitor_analytics::domain::question::{Filter, Interval, Period, Subject};
use visitor_analytics::store::{Asked, Breakdown, Order, SiteOfReport, Store};

/// How often each question is asked.
const TIMES: usize = 30;

/// A report.
enum Report {
    Series(Interval),
    By(Subject),
}

pub async fn ask_all(pool: &PgPool, store: &Store, now: DateTime<Utc>) {
    let site = store
        .site_of_report(Some("shop.example"))
        .await
        .unwrap()
        .unwrap();
    println!(
        "{:<44} {:>9} {:>9} {:>11}",
        "shop.example", "p50", "p95", "plain SQL"
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
    let (city, page) = (Dimension::Country, Dimension::Page);
    let filters = [
        ("", vec![]),
        (", country=C1", vec![filter(city, "C1")]),
        (", page=/p/1*", vec![filter(page, "/p/1*")]),
    ];
    for (name, filters) in filters {
        for days in [1, 7, 90] {
            for (report, what) in &reports {
                let asked = asked(&site, days, filters.clone(), now);
                let times = ask(store, &asked, what).await;
                let plain = plain(pool, &asked, what, name).await;
                let plain = plain.map_or(String::new(), |time| format!("{:.0} ms", ms(time)));
                let what = format!("{report}, {days} days{name}");
                let (p50, p95) = (ms(times[TIMES / 2]), ms(times[TIMES * 95 / 100]));
                println!("{what:<44} {p50:>6.1} ms {p95:>6.1} ms {plain:>11}");
            }
        }
    }
    let minutes = ask(
        store,
        &asked(&site, 1, vec![], now),
        &Report::Series(Interval::Minute),
    )
    .await;
    println!(
        "minutes, today {:>37.1} ms {:>6.1} ms",
        ms(minutes[TIMES / 2]),
        ms(minutes[TIMES * 95 / 100])
    );
    let mut cut = asked(&site, 7, vec![], now);
    cut.period.from += TimeDelta::hours(5);
    let cut = ask(store, &cut, &Report::Series(Interval::Day)).await;
    println!(
        "summary, 7 days less 5 hours {:>23.1} ms {:>6.1} ms",
        ms(cut[TIMES / 2]),
        ms(cut[TIMES * 95 / 100])
    );
    let mut other = asked(&site, 90, vec![], now);
    other.period.zone = chrono_tz::Tz::Asia__Tokyo;
    let other = ask(store, &other, &Report::Series(Interval::Day)).await;
    println!(
        "summary, 90 days in another zone {:>19.1} ms {:>6.1} ms",
        ms(other[TIMES / 2]),
        ms(other[TIMES * 95 / 100])
    );
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

fn filter(dimension: Dimension, pattern: &str) -> Filter {
    Filter {
        subject: Subject::Of(dimension),
        any: vec![Pattern::parse(pattern).unwrap()],
        none: vec![],
    }
}

fn asked(site: &SiteOfReport, days: i64, filters: Vec<Filter>, now: DateTime<Utc>) -> Asked {
    let last = now.with_timezone(&site.zone).date_naive() - TimeDelta::days(1);
    Asked {
        site: site.clone(),
        period: Period::days_of(site.zone, last - TimeDelta::days(days - 1), last),
        filters: filters.into(),
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
