//! The `retention` command: prints the partitions and when they expire, and removes expired data.

use std::fmt::Write as _;

use chrono::{DateTime, NaiveDate, Utc};
use common::clock::Clock;

use crate::SERVICE_NAME;
use crate::config::Config;
use crate::domain::policy::RetentionPeriod;
use crate::store::{ExpiredData, PartitionInfo, RowCount, Store};

/// Returns the text to print: a table of the partitions and, unless `dry_run`, the data that was
/// removed.
pub async fn run(config: &Config, clock: &Clock, dry_run: bool) -> anyhow::Result<String> {
    let store = Store::new(config.database.pool(SERVICE_NAME)?).for_background();
    let retention = config.policy().retention;
    report(&store, retention, clock.now(), dry_run).await
}

/// Runs `retention` on a given store at `now`.
pub async fn report(
    store: &Store,
    retention: RetentionPeriod,
    now: DateTime<Utc>,
    dry_run: bool,
) -> anyhow::Result<String> {
    let partitions = store.partitions().await?;
    let mut text = table(&partitions, retention, now);
    if let Some(border) = retention.border(now) {
        let rows = store.count_shared(border).await?;
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "Data before {border} expires, including {rows} rows in partitions of several months."
        );
        if !dry_run {
            text.push_str(&done(&store.expire(border, now).await?));
        }
    } else {
        text.push_str("RETENTION_DAYS is not set: all data is kept.\n");
    }
    for site in store.old_sites(now).await? {
        let (domain, border) = (&site.domain, site.border.date_naive());
        let _ = writeln!(text, "Data of {domain} before {border} expires.");
        if !dry_run {
            let rows = store.expire_site(&site, now).await?;
            let _ = writeln!(text, "Removed: {rows} rows of {domain}.");
        }
    }
    Ok(text)
}

fn done(expired: &ExpiredData) -> String {
    let mut text = String::new();
    let lines = [
        ("Removed", &expired.partitions),
        ("In use, run the command again to remove", &expired.put_off),
    ];
    for (what, names) in lines.into_iter().filter(|(_, names)| !names.is_empty()) {
        let _ = writeln!(text, "{what}: {}.", names.join(", "));
    }
    if expired.rows > 0 {
        let _ = writeln!(text, "Removed: {} rows.", expired.rows);
    }
    if text.is_empty() {
        text.push_str("No data has expired.\n");
    }
    text
}

fn table(partitions: &[PartitionInfo], retention: RetentionPeriod, now: DateTime<Utc>) -> String {
    let head = ["partition", "rows (~ estimated)", "bytes", "expires"].map(str::to_owned);
    let line = |partition: &PartitionInfo| {
        let rows = match partition.rows {
            RowCount::Exactly(rows) => rows.to_string(),
            RowCount::About(rows) => format!("~{rows}"),
        };
        let bytes = partition.bytes.to_string();
        [
            partition.name.clone(),
            rows,
            bytes,
            goes(partition, retention, now),
        ]
    };
    let lines: Vec<[String; 4]> = [head]
        .into_iter()
        .chain(partitions.iter().map(line))
        .collect();
    let width = |column: usize| lines.iter().map(|line| line[column].len()).max();
    let [name, rows, bytes] = [0, 1, 2].map(|column| width(column).unwrap_or_default());
    lines.iter().fold(String::new(), |mut text, line| {
        let [a, b, c, d] = line;
        let _ = writeln!(text, "{a:<name$}  {b:>rows$}  {c:>bytes$}  {d}");
        text
    })
}

/// When a partition is dropped.
fn goes(partition: &PartitionInfo, retention: RetentionPeriod, now: DateTime<Utc>) -> String {
    let is_reached = |end: NaiveDate| retention.border(now).is_some_and(|border| end <= border);
    match retention.reached(partition.end) {
        None => "never".into(),
        Some(_) if is_reached(partition.end) => "now".into(),
        Some(when) if partition.is_shared => {
            format!("month by month until {}", when.format("%Y-%m-%d %H:%M"))
        }
        Some(when) => when.format("%Y-%m-%d %H:%M").to_string(),
    }
}
