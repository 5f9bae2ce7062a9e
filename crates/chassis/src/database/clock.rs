//! For `GET /health`: whether the machine's clock agrees with PostgreSQL's.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use common::clock::Clock;
use sqlx::PgPool;
use tokio::time::timeout;

use crate::health::CheckResult;

/// Clocks that differ by more than this put visits on wrong days and let tokens expire early.
const MAX_CLOCK_SKEW: TimeDelta = TimeDelta::minutes(1);

/// PostgreSQL tells its time within this time, or the clocks are not compared.
const CLOCK_TIMEOUT: Duration = Duration::from_secs(1);

/// For `GET /health`: whether the machine's clock agrees with `PostgreSQL`'s.
pub async fn clock_skew(pool: PgPool, clock: Clock) -> CheckResult {
    let before = clock.now();
    let question = sqlx::query_scalar::<_, DateTime<Utc>>("select clock_timestamp()");
    let Ok(Ok(theirs)) = timeout(CLOCK_TIMEOUT, question.fetch_one(&pool)).await else {
        // The database's own check says why.
        return CheckResult::ok("not compared: no connection to PostgreSQL");
    };
    let ours = before + (clock.now() - before) / 2;
    let ahead = ours - theirs;
    if ahead.abs() <= MAX_CLOCK_SKEW {
        return CheckResult::ok("agrees with PostgreSQL's");
    }
    let seconds = ahead.num_seconds().abs();
    let direction = if ahead > TimeDelta::zero() {
        "ahead of"
    } else {
        "behind"
    };
    CheckResult::degraded(format!(
        "{seconds} seconds {direction} PostgreSQL's clock; synchronize both machines (NTP)"
    ))
}
