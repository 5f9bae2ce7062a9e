//! The `retention` command: prints the partitions and when they expire, and removes expired data.

use std::fmt::Write as _;

use chrono::{DateTime, NaiveDate, Utc};
use common::clock::Clock;

use crate::config::Config;
use crate::domain::privacy::RetentionPeriod;
use crate::service::SERVICE_NAME;
use crate::store::{ExpiredData, PartitionInfo, RowCount, Store};

/// Returns the text to print: a table of the partitions and, unless `dry_run`, the data that was
/// removed.
pub async fn run(config: &Config, clock: &Clock, dry_run: bool) -> anyhow::Result<String> {
    let store = Store::new(config.database.pool(SERVICE_NAME)?).for_background();
    let retention = config.privacy_policy().retention;
    report(&store, retention, clock.now(), dry_run).await
}

/// Runs `retention` on a given store at `now`.
#[tracing::instrument(level = "debug", name = "apply_retention", skip_all, fields(dry_run = dry_run))]
pub async fn report(
    store: &Store,
    retention: RetentionPeriod,
    now: DateTime<Utc>,
    dry_run: bool,
) -> anyhow::Result<String> {
    let partitions = store.retention.partitions().await?;
    let mut text = format_partitions(&partitions, retention, now);
    if let Some(border) = retention.first_kept_day(now) {
        let rows = store.retention.count_shared_rows(border).await?;
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "Data before {border} expires, including {rows} rows in partitions of several months."
        );
        if !dry_run {
            text.push_str(&format_expired(&store.retention.expire(border, now).await?));
        }
    } else {
        text.push_str("RETENTION_DAYS is not set: all data is kept.\n");
    }
    for site in store.retention.expiring_sites(now).await? {
        let (domain, border) = (&site.domain, site.cutoff.date_naive());
        let _ = writeln!(text, "Data of {domain} before {border} expires.");
        if !dry_run {
            let rows = store.retention.expire_site(&site, now).await?;
            let _ = writeln!(text, "Removed: {rows} rows of {domain}.");
        }
    }
    Ok(text)
}

fn format_expired(expired: &ExpiredData) -> String {
    let mut text = String::new();
    let lines = [
        ("Removed", &expired.partitions),
        (
            "In use, run the command again to remove",
            &expired.postponed,
        ),
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

fn format_partitions(
    partitions: &[PartitionInfo],
    retention: RetentionPeriod,
    now: DateTime<Utc>,
) -> String {
    let head = ["partition", "rows (~ estimated)", "bytes", "expires"].map(str::to_owned);
    let line = |partition: &PartitionInfo| {
        let rows = match partition.rows {
            RowCount::Exact(rows) => rows.to_string(),
            RowCount::Estimated(rows) => format!("~{rows}"),
        };
        let bytes = partition.bytes.to_string();
        [
            partition.name.clone(),
            rows,
            bytes,
            format_expiry(partition, retention, now),
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
fn format_expiry(
    partition: &PartitionInfo,
    retention: RetentionPeriod,
    now: DateTime<Utc>,
) -> String {
    let is_reached = |end: NaiveDate| {
        retention
            .first_kept_day(now)
            .is_some_and(|border| end <= border)
    };
    match retention.deletion_time(partition.end) {
        None => "never".into(),
        Some(_) if is_reached(partition.end) => "now".into(),
        Some(when) if partition.is_shared => {
            format!("month by month until {}", when.format("%Y-%m-%d %H:%M"))
        }
        Some(when) => when.format("%Y-%m-%d %H:%M").to_string(),
    }
}
