//! Migration of databases of earlier versions.

use serde_json::Value;
use sqlx::PgPool;

use crate::support::start;

/// Rows as written by version 1: two people with the same browser, one with two visits, and a bot
/// of 2019.
const FIRST_VERSION: &str = "
    insert into visitor_analytics.site (domain, created_at) values ('shop.example', now());
    insert into visitor_analytics.visit (id, timestamp, received_at, site_id, session_id,
        visitor_id, url, path, title, referrer, source, medium, utm_source, method, user_agent,
        browser, os, device_type, language, country_code, country, city, latitude, longitude, asn,
        as_organization, is_bot, bot_name, bot_score, bot_reasons, ruleset, properties)
    select ('00000000-0000-0000-0000-00000000000' || n)::uuid, moment, moment, 1,
        '00000000-0000-0000-0000-0000000000aa', visitor, url, '/pricing', title, referrer,
        source, 'referral', utm, 'GET', agent, browser, 'Windows', device, 'en', country_code,
        country, city, latitude, 0.5, asn, 'Example Ltd', browser is null, bot, score,
        reasons, 1, '{\"plan\": \"pro\"}'
    from (values
        (1, '2026-02-27T10:00:00Z'::timestamptz, 'a', 'https://shop.example/pricing?a=1&b=?', 'Prices',
         'https://news.example/x', 'news.example', null, 'Firefox', 'Firefox', 'desktop', 'GB',
         'United Kingdom', 'London', 51.5, 20712, null, 0, '{}'::text[]),
        (2, '2026-03-01T00:00:00Z', 'a', 'https://shop.example/pricing', null, null, '(direct)',
         'News', 'Firefox', 'Firefox', 'desktop', null, null, null, null, null, null, 10, '{}'),
        (3, '2019-01-01T10:00:00Z', 'b', 'https://shop.example/pricing', null, null, '(direct)',
         null, 'Googlebot', null, 'bot', 'US', 'United States', null, null, 15169, 'Googlebot',
         100, '{known_crawler,bot_word}'))
        as v (n, moment, visitor, url, title, referrer, source, utm, agent, browser, device,
              country_code, country, city, latitude, asn, bot, score, reasons)";

const SHOWN: [&str; 22] = [
    "id",
    "timestamp",
    "visitor_id",
    "url",
    "path",
    "title",
    "referrer",
    "source",
    "utm_source",
    "browser",
    "device_type",
    "country_code",
    "country",
    "city",
    "latitude",
    "asn",
    "as_organization",
    "is_bot",
    "bot_name",
    "bot_score",
    "bot_reasons",
    "properties",
];

#[sqlx::test(migrations = false)]
async fn visits_of_the_first_version_read_the_same(pool: PgPool) {
    let months = "
        create table visitor_analytics.visit_2026_02 partition of visitor_analytics.visit
            for values from ('2026-02-01 00:00:00+00') to ('2026-03-01 00:00:00+00');
        create table visitor_analytics.visit_2026_03 partition of visitor_analytics.visit
            for values from ('2026-03-01 00:00:00+00') to ('2026-04-01 00:00:00+00');";
    let mut first = visitor_analytics::migrator();
    first.create_schema(visitor_analytics::SCHEMA_NAME);
    first.dangerous_set_table_name(format!(
        "{}._sqlx_migrations",
        visitor_analytics::SCHEMA_NAME
    ));
    first.run_to(1, &pool).await.unwrap();
    for statements in [months, FIRST_VERSION] {
        sqlx::raw_sql(statements).execute(&pool).await.unwrap();
    }

    let system = start(pool).await;
    let page = system.read("/visits?include_bots=true").await;
    let shown = |visit: &Value| SHOWN.map(|name| visit[name].to_string()).join(" ");
    let visits: Vec<_> = page["data"].as_array().unwrap().iter().map(shown).collect();
    let expected = [
        r#""00000000-0000-0000-0000-000000000002" "2026-03-01T00:00:00Z" "a" "https://shop.example/pricing" "/pricing" null null "(direct)" "News" "Firefox" "desktop" null null null null null "Example Ltd" false null 10 [] {"plan":"pro"}"#,
        r#""00000000-0000-0000-0000-000000000001" "2026-02-27T10:00:00Z" "a" "https://shop.example/pricing?a=1&b=?" "/pricing" "Prices" "https://news.example/x" "news.example" null "Firefox" "desktop" "GB" "United Kingdom" "London" 51.5 20712 "Example Ltd" false null 0 [] {"plan":"pro"}"#,
        r#""00000000-0000-0000-0000-000000000003" "2019-01-01T10:00:00Z" "b" "https://shop.example/pricing" "/pricing" null null "(direct)" null null "bot" "US" "United States" null null 15169 "Example Ltd" true "Googlebot" 100 ["known_crawler","bot_word"] {"plan":"pro"}"#,
    ];
    assert_eq!(visits, expected);
    assert_eq!(system.count("agent").await, 2);
}

/// Rollups as written by the previous version: one row per value. The visits of these days have
/// been dropped.
const ROWS: &str = "
    insert into visitor_analytics.site (domain, created_at) values ('shop.example', now());
    insert into visitor_analytics.rollup_value (key, text)
    select gen_random_uuid(), 'page ' || n from generate_series(1, 700) n;
    insert into visitor_analytics.rollup_day (site_id, dimension, day, is_bot, value_id, visits,
        visitors, sessions, bounces, seconds)
    select 1, 1, day::date, is_bot, n, n * 1000, n, n * 3, n / 2, n::bigint * 1000000
    from generate_series(0, 700, 7) n, generate_series(0, 1) bot,
        lateral (select bot = 1 as is_bot) b,
        generate_series('2026-02-01'::timestamp, '2026-02-03', interval '1 day') day
    where not is_bot or n > 300;
    insert into visitor_analytics.rollup_day (site_id, dimension, day, is_bot, value_id, visits,
        visitors, sessions, bounces, seconds)
    values (1, 0, '2026-02-01', false, 0, 128, 3, 4, 5, 127);
    insert into visitor_analytics.visit_horizon (kept_since) values ('2026-03-01T00:00:00Z');";

#[sqlx::test(migrations = false)]
async fn rollups_of_earlier_versions_read_the_same(pool: PgPool) {
    let mut before = visitor_analytics::migrator();
    before.create_schema(visitor_analytics::SCHEMA_NAME);
    before.dangerous_set_table_name(format!(
        "{}._sqlx_migrations",
        visitor_analytics::SCHEMA_NAME
    ));
    before.run_to(12, &pool).await.unwrap();
    sqlx::raw_sql(ROWS).execute(&pool).await.unwrap();

    let system = start(pool).await;
    assert_eq!(system.count("unfolded_day").await, 0);
    let days = "from=2026-02-01&to=2026-02-28";
    let total = system.read(&format!("/analytics/summary?{days}")).await;
    assert_eq!(
        [&total["visits"], &total["visitors"], &total["sessions"]],
        [128, 3, 4]
    );
    for (class, lines) in [("false", 101), ("only", 58)] {
        let path = format!("by=page&limit=1000&{days}&include_bots={class}");
        let body = system.read(&format!("/analytics/breakdown?{path}")).await;
        let data = body["data"].as_array().unwrap();
        assert_eq!(data.len(), lines);
        for line in data {
            let name = line["value"].as_str().unwrap_or("page 0");
            let n: i64 = name.strip_prefix("page ").unwrap().parse().unwrap();
            let numbers = ["visits", "visitors", "sessions"].map(|name| line[name].as_i64());
            assert_eq!(numbers, [n * 3_000, n * 3, n * 9].map(Some), "{line}");
        }
    }
}
