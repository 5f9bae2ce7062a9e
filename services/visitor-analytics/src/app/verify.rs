//! The `verify` command: compares rollups with the visits.

use std::fmt::Write as _;

use crate::config::{Config, VerifyArgs};
use crate::service::SERVICE_NAME;
use crate::store::{MetricMismatch, Store, VerifiableDay, VerifyOutcome};

/// Differences that are printed; all are counted.
const MAX_SHOWN_MISMATCHES: usize = 200;
/// Characters of a value that are printed.
const MAX_SHOWN_CHARS: usize = 60;

/// The result of `verify`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VerifyReport {
    /// Days whose rollups were compared.
    pub compared_days: usize,
    /// Numbers that were compared.
    pub compared_numbers: usize,
    /// Numbers that differ.
    pub mismatches: usize,
    /// Dirty days, which are skipped: reports compute their numbers from the visits.
    pub dirty_days: usize,
    /// Days that are skipped because retention has removed visits of them.
    pub expired_days: usize,
    /// The first differences.
    rows: Vec<[String; 7]>,
}

/// Compares the selected days with their visits.
pub async fn run(config: &Config, args: &VerifyArgs) -> anyhow::Result<VerifyReport> {
    let store = Store::new(config.database.pool(SERVICE_NAME)?).for_background();
    verify_days(&store, args).await
}

/// Runs `verify` on a given store.
pub async fn verify_days(store: &Store, args: &VerifyArgs) -> anyhow::Result<VerifyReport> {
    let mut report = VerifyReport::default();
    let site = args.site.as_deref();
    for day in store
        .rollups
        .days_to_verify(site, args.from, args.to)
        .await?
    {
        if day.is_dropped {
            report.expired_days += 1;
            continue;
        }
        match store.rollups.verify_day(&day).await? {
            VerifyOutcome::Dirty => report.dirty_days += 1,
            VerifyOutcome::Compared(numbers, differences) => {
                report.compared_days += 1;
                report.compared_numbers += numbers;
                report.mismatches += differences.len();
                let room = MAX_SHOWN_MISMATCHES - report.rows.len();
                let lines = differences
                    .iter()
                    .take(room)
                    .map(|one| format_mismatch(&day, one));
                report.rows.extend(lines);
            }
        }
    }
    Ok(report)
}

fn format_mismatch(day: &VerifiableDay, one: &MetricMismatch) -> [String; 7] {
    let number = |number: Option<i64>| number.map_or("-".to_owned(), |n| n.to_string());
    let value = one.value.as_deref().unwrap_or("-");
    let who = if one.is_bot { " (bots)" } else { "" };
    [
        day.site.clone(),
        day.date.to_string(),
        format!("{}{who}", one.dimension),
        value.chars().take(MAX_SHOWN_CHARS).collect(),
        one.metric.to_owned(),
        number(one.folded),
        number(one.counted),
    ]
}

impl std::fmt::Display for VerifyReport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.mismatches > 0 {
            write!(f, "{}", format_table(&self.rows))?;
            let hidden = self.mismatches - self.rows.len();
            if hidden > 0 {
                writeln!(f, "… and {hidden} more")?;
            }
        }
        write!(
            f,
            "{} days, {} numbers: ",
            self.compared_days, self.compared_numbers
        )?;
        match self.mismatches {
            0 => writeln!(f, "all equal")?,
            different => writeln!(f, "{different} differ")?,
        }
        if self.dirty_days > 0 {
            writeln!(
                f,
                "{} days were skipped: they are dirty and have no current rollups",
                self.dirty_days
            )?;
        }
        if self.expired_days > 0 {
            let dropped = self.expired_days;
            writeln!(
                f,
                "{dropped} days were skipped: retention has removed their visits"
            )?;
        }
        Ok(())
    }
}

fn format_table(lines: &[[String; 7]]) -> String {
    let head = [
        "site",
        "day",
        "dimension",
        "value",
        "number",
        "rollup",
        "visits",
    ];
    let head = [head.map(str::to_owned)];
    let lines: Vec<&[String; 7]> = head.iter().chain(lines).collect();
    let width = |column: usize| lines.iter().map(|line| line[column].chars().count()).max();
    let widths: [usize; 7] = std::array::from_fn(|column| width(column).unwrap_or_default());
    let mut text = String::new();
    for line in &lines {
        let cells = line.iter().zip(widths).enumerate();
        let cells = cells.map(|(column, (cell, width))| match column {
            5.. => format!("{cell:>width$}"),
            _ => format!("{cell:<width$}"),
        });
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{}", cells.collect::<Vec<_>>().join("  ").trim_end());
    }
    text
}
