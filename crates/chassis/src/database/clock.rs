//! Health check of the clock: compares it with the clock of PostgreSQL.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use common::clock::Clock;
use sqlx::PgPool;
use tokio::time::timeout;

use crate::health::CheckResult;

/// With a larger difference, visits get wrong days and tokens expire early.
const MAX_CLOCK_SKEW: TimeDelta = TimeDelta::minutes(1);

/// If PostgreSQL takes longer to respond, the clocks are not compared.
const CLOCK_TIMEOUT: Duration = Duration::from_secs(1);

/// Compares `clock` with the clock of PostgreSQL.
pub async fn check_clock_skew(pool: PgPool, clock: Clock) -> CheckResult {
    let before = clock.now();
    let question = sqlx::query_scalar::<_, DateTime<Utc>>("select clock_timestamp()");
    let Ok(Ok(theirs)) = timeout(CLOCK_TIMEOUT, question.fetch_one(&pool)).await else {
        // The check of the database reports the reason.
        return CheckResult::ok("not compared: no connection to PostgreSQL");
    };
    let ours = before + (clock.now() - before) / 2;
    let ahead = ours - theirs;
    if ahead.abs() <= MAX_CLOCK_SKEW {
        return CheckResult::ok("in sync with PostgreSQL");
    }
    let seconds = ahead.num_seconds().abs();
    let direction = if ahead > TimeDelta::zero() {
        "ahead of"
    } else {
        "behind"
    };
    CheckResult::degraded(format!(
        "{seconds} seconds {direction} the clock of PostgreSQL; synchronize both machines (NTP)"
    ))
}
