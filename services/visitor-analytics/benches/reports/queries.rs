//! The queries of the benchmark.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};
use rollups::dimension::Dimension;
use rollups::funnel::FunnelRules;
use rollups::goal::GoalMatcher;
use rollups::pattern::WildcardPattern;
use rollups::query::{Attribute, AttributeFilter, Interval, ReportPeriod};
use sqlx::{AssertSqlSafe, PgPool};
use visitor_analytics::app::reports::{
    BreakdownOrder, BreakdownQuery, FunnelStep, ReportEngine, ReportQuery,
};
use visitor_analytics::store::{ReportSite, Store};

use crate::{Dataset, unlimited_connection};

/// Repetitions of each query.
const REPETITIONS: usize = 30;

enum Report {
    Totals,
    Series(Interval),
    Breakdown(Attribute),
    /// Paths with this number of pages.
    Paths(usize),
    AdjacentPages(&'static str),
    Funnel([&'static str; 3]),
    Cohorts(Interval),
    /// Sessions with a visit of a page that matches the pattern.
    Goal(&'static str),
}

/// Runs all queries on both databases and prints their durations.
pub(crate) async fn run_all(
    small: &Dataset,
    large: &Dataset,
    duck: &HashMap<String, Duration>,
    only: &str,
) {
    let site = "shop.example";
    println!(
        "{:<44} {:>8} {:>8} {:>8} {:>8} {:>8} {:>9} {:>8}",
        format!("{site}, ms"),
        "a tenth",
        "p95",
        "all",
        "p95",
        "first",
        "plain SQL",
        "DuckDB"
    );
    let reports = [
        ("summary", Report::Totals),
        ("by week", Report::Series(Interval::Week)),
        ("by hour", Report::Series(Interval::Hour)),
        (
            "page",
            Report::Breakdown(Attribute::Dimension(Dimension::Page)),
        ),
        (
            "entry_page",
            Report::Breakdown(Attribute::Dimension(Dimension::EntryPage)),
        ),
        (
            "city",
            Report::Breakdown(Attribute::Dimension(Dimension::City)),
        ),
        (
            "browser",
            Report::Breakdown(Attribute::Dimension(Dimension::Browser)),
        ),
        ("weekday", Report::Breakdown(Attribute::Weekday)),
    ];
    let filters = [
        ("", vec![]),
        (", country=C1", vec![filter(Dimension::Country, "C1")]),
        (", page=/p/1*", vec![filter(Dimension::Page, "/p/1*")]),
    ];
    for (name, filters) in filters {
        for days in [1, 7, 90] {
            for (report, what) in &reports {
                let asked =
                    report_query(&large.store, site, days, filters.clone(), large.now).await;
                let title = format!("{report}, {days} days{name}");
                if !title.contains(only) {
                    continue;
                }
                let plain = match only {
                    "" => measure_plain_sql(&large.pool, &asked, what, name).await,
                    _ => None,
                };
                print_durations(small, large, &asked, &(title, what), plain, duck).await;
            }
        }
    }
    let today = report_query(&large.store, site, 0, vec![], large.now).await;
    let week = report_query(&large.store, site, 7, vec![], large.now).await;
    let all = report_query(&large.store, site, 90, vec![], large.now).await;
    let mut cut = week.clone();
    cut.period.from += TimeDelta::hours(5);
    let with_today = ReportQuery {
        period: ReportPeriod {
            to: today.period.to,
            ..all.period
        },
        ..all.clone()
    };
    let tokyo = in_time_zone(&all, chrono_tz::Tz::Asia__Tokyo);
    let new_york = in_time_zone(&all, chrono_tz::Tz::America__New_York);
    let summary = Report::Totals;
    let series = [Interval::Day, Interval::Hour, Interval::Minute].map(Report::Series);
    let [days, hours, minutes] = series;
    let [pages, cities] =
        [Dimension::Page, Dimension::City].map(|one| Report::Breakdown(Attribute::Dimension(one)));
    for (name, asked, report) in [
        ("by day, 90 days", &all, &days),
        ("summary, today", &today, &summary),
        ("page, 90 days and today", &with_today, &pages),
        ("minutes, today", &today, &minutes),
        ("summary, 7 days less 5 hours", &cut, &summary),
        ("page, 7 days less 5 hours", &cut, &pages),
        ("by hour, 7 days less 5 hours", &cut, &hours),
        ("summary, 90 days in Tokyo", &tokyo, &summary),
        ("by hour, 90 days in Tokyo", &tokyo, &hours),
        ("page, 90 days in Tokyo", &tokyo, &pages),
        ("city, 90 days in Tokyo", &tokyo, &cities),
        ("summary, 90 days in New York", &new_york, &summary),
        ("page, 90 days in New York", &new_york, &pages),
    ] {
        if name.contains(only) {
            print_durations(small, large, asked, &(name.to_owned(), report), None, duck).await;
        }
    }
    print_visitors(&large.pool, &large.reports, &all).await;
    let periods = [(7, &week), (90, &all), (91, &with_today)];
    run_ordered_reports(small, large, &periods, only).await;
}

/// Compares the visitors of a period with an exact count.
async fn print_visitors(pool: &PgPool, reports: &ReportEngine, asked: &ReportQuery) {
    let totals = reports.totals(asked, Some(false)).await.unwrap().value;
    let exact = sqlx::query_scalar::<_, i64>(
        "select count(distinct v.visitor_id) from visitor_analytics.visit v
         join visitor_analytics.session s on s.id = v.session_id
         where v.site_id = $1 and not s.is_bot and v.timestamp >= $2 and v.timestamp < $3",
    );
    let exact = exact
        .bind(asked.site.id)
        .bind(asked.period.from)
        .bind(asked.period.to);
    let mut connection = unlimited_connection(pool).await;
    let exact = exact.fetch_one(&mut connection).await.unwrap();
    println!(
        "visitors of 90 days: {} ({:?}); counted from the visits: {exact}",
        totals.metrics[0].visitors, totals.counting
    );
}

/// Reports that need the order of visits. The last period ends today.
async fn run_ordered_reports(
    small: &Dataset,
    large: &Dataset,
    periods: &[(u8, &ReportQuery)],
    only: &str,
) {
    let duck = HashMap::new();
    let ordered = [
        ("journeys, 3 pages", Report::Paths(3)),
        ("journeys, 5 pages", Report::Paths(5)),
        ("around a page", Report::AdjacentPages("/p/20")),
        ("funnel of 3", Report::Funnel(["/p/1", "/p/2*", "/p/7"])),
        ("retention by week", Report::Cohorts(Interval::Week)),
        ("goal", Report::Goal("/p/20")),
    ];
    for (report, what) in &ordered {
        for (days, asked) in periods {
            let mut asked = (*asked).clone();
            if let Report::Goal(page) = what {
                asked.goal = Some(GoalMatcher::Page(WildcardPattern::parse(page).unwrap()));
            }
            let name = format!("{report}, {days} days");
            if name.contains(only) {
                print_durations(small, large, &asked, &(name, what), None, &duck).await;
            }
        }
    }
}

/// The same dates in another time zone.
fn in_time_zone(asked: &ReportQuery, zone: chrono_tz::Tz) -> ReportQuery {
    let date = |moment: DateTime<Utc>| moment.with_timezone(&asked.site.zone).date_naive();
    let last = date(asked.period.to - TimeDelta::seconds(1));
    ReportQuery {
        period: ReportPeriod::from_dates(zone, date(asked.period.from), last),
        ..asked.clone()
    }
}

async fn print_durations(
    small: &Dataset,
    large: &Dataset,
    asked: &ReportQuery,
    (name, report): &(String, &Report),
    plain: Option<Duration>,
    duck: &HashMap<String, Duration>,
) {
    // Sites have the same ids in both databases.
    let (_, of_small) = measure_report(&small.reports, asked, report).await;
    let (first, of_large) = measure_report(&large.reports, asked, report).await;
    let cell =
        |time: Option<Duration>| time.map_or(String::new(), |time| format!("{:.1}", millis(time)));
    println!(
        "{name:<44} {:>8.1} {:>8.1} {:>8.1} {:>8.1} {:>8.1} {:>9} {:>8}",
        millis(of_small[REPETITIONS / 2]),
        millis(of_small[REPETITIONS * 95 / 100]),
        millis(of_large[REPETITIONS / 2]),
        millis(of_large[REPETITIONS * 95 / 100]),
        millis(first),
        cell(plain),
        cell(duck.get(name).copied()),
    );
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

fn filter(dimension: Dimension, pattern: &str) -> AttributeFilter {
    AttributeFilter {
        property: None,
        attribute: Attribute::Dimension(dimension),
        included: vec![WildcardPattern::parse(pattern).unwrap()],
        excluded: vec![],
    }
}

/// A query over the last `days` completed days, or over today if `days` is 0.
async fn report_query(
    store: &Store,
    site: &str,
    days: i64,
    filters: Vec<AttributeFilter>,
    now: DateTime<Utc>,
) -> ReportQuery {
    let site: ReportSite = store.sites.report_site(Some(site)).await.unwrap().unwrap();
    let today = now.with_timezone(&site.zone).date_naive();
    let last = if days == 0 {
        today
    } else {
        today - TimeDelta::days(1)
    };
    let first = last - TimeDelta::days((days - 1).max(0));
    ReportQuery {
        period: ReportPeriod::from_dates(site.zone, first, last),
        site,
        filters: filters.into(),
        goal: None,
        now,
        started_at: Instant::now().into(),
    }
}

/// Returns the duration of the first run, and the sorted durations of the repetitions.
async fn measure_report(
    reports: &ReportEngine,
    asked: &ReportQuery,
    report: &Report,
) -> (Duration, Vec<Duration>) {
    let mut times = vec![];
    for _ in 0..=REPETITIONS {
        let begun = Instant::now();
        let asked = &ReportQuery {
            started_at: begun.into(),
            ..asked.clone()
        };
        match report {
            Report::Totals => _ = reports.totals(asked, Some(false)).await.unwrap(),
            Report::Series(interval) => {
                _ = reports.series(asked, *interval, Some(false)).await.unwrap();
            }
            Report::Breakdown(subject) => {
                let wanted = BreakdownQuery {
                    property: None,
                    subject: *subject,
                    is_bot: Some(false),
                    order: BreakdownOrder::Visitors,
                    offset: 0,
                    limit: 50,
                    needs_visitors: true,
                };
                reports.breakdown(asked, &wanted).await.unwrap();
            }
            Report::Paths(depth) => {
                _ = reports
                    .session_paths(asked, Some(false), *depth, 20)
                    .await
                    .unwrap();
            }
            Report::AdjacentPages(page) => {
                let page = WildcardPattern::parse(page).unwrap();
                _ = reports
                    .adjacent_pages(asked, Some(false), &page, 20)
                    .await
                    .unwrap();
            }
            Report::Funnel(pages) => {
                let steps =
                    pages.map(|page| FunnelStep::Page(WildcardPattern::parse(page).unwrap()));
                let rules = FunnelRules {
                    step_count: steps.len(),
                    is_strict: false,
                    window_seconds: 7 * 86_400,
                };
                let funnel = reports.funnel(asked, Some(false), &steps, rules).await;
                _ = funnel.unwrap();
            }
            Report::Cohorts(interval) => {
                let retention = reports.cohorts(asked, Some(false), *interval).await;
                _ = retention.unwrap();
            }
            Report::Goal(_) => {
                _ = reports.summed_series(asked, Interval::Day).await.unwrap();
            }
        }
        times.push(begun.elapsed());
    }
    // The first run folds the open day, and the result is cached.
    let first = times.remove(0);
    times.sort();
    (first, times)
}

/// Computes the same metrics except durations in plain SQL over the visits, once.
async fn measure_plain_sql(
    pool: &PgPool,
    asked: &ReportQuery,
    report: &Report,
    filter: &str,
) -> Option<Duration> {
    let value = match report {
        Report::Totals => "null",
        Report::Breakdown(Attribute::Dimension(Dimension::Page)) => "p.path",
        Report::Breakdown(Attribute::Dimension(Dimension::City)) => "l.city",
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
