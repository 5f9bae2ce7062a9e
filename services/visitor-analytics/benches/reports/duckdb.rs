//! Runs the same queries in `DuckDB`.

use std::collections::HashMap;
use std::io::Write as _;
use std::time::Duration;

use futures::TryStreamExt as _;
use sqlx::postgres::PgPoolCopyExt as _;

use crate::Dataset;

/// The visits of one site with their sessions.
const EXPORT_SQL: &str = "copy (
    select v.timestamp at time zone 'UTC' as at, v.visitor_id, v.session_id,
           s.visits as session_visits, s.is_bot, p.path as page, l.city, l.country_code as country
    from visitor_analytics.visit v
    join visitor_analytics.session s on s.id = v.session_id
    join visitor_analytics.page p on p.id = v.page_id
    left join visitor_analytics.place l on l.id = v.place_id
    where v.site_id = 1) to stdout (format csv, header)";

/// The duration of each query by its name; empty without `DUCKDB_PYTHON`.
pub(crate) async fn run_queries(made: &Dataset) -> HashMap<String, Duration> {
    let Ok(python) = std::env::var("DUCKDB_PYTHON") else {
        return HashMap::new();
    };
    let name = format!("reports-{}.csv", made.visits);
    let path = std::env::temp_dir().join(name);
    let mut file = std::fs::File::create(&path).unwrap();
    let mut rows = made.pool.copy_out_raw(EXPORT_SQL).await.unwrap();
    while let Some(bytes) = rows.try_next().await.unwrap() {
        file.write_all(&bytes).unwrap();
    }
    drop(rows);
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/reports/duck.py");
    // In the site's time zone.
    let zone = chrono_tz::Tz::Europe__Berlin;
    let last_day = made.now.with_timezone(&zone).date_naive().to_string();
    let told = tokio::process::Command::new(python)
        .args([script, path.to_str().unwrap(), &last_day])
        .output()
        .await
        .unwrap();
    std::fs::remove_file(&path).unwrap();
    assert!(
        told.status.success(),
        "{}",
        String::from_utf8_lossy(&told.stderr)
    );
    let lines = String::from_utf8(told.stdout).unwrap();
    let pair = |line: &str| {
        let (name, seconds) = line.split_once('\t').unwrap();
        let seconds = seconds.parse().unwrap();
        (name.to_owned(), Duration::from_secs_f64(seconds))
    };
    lines.lines().map(pair).collect()
}
