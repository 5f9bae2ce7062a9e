//! When days are folded.

use chrono::TimeDelta;

/// A day is folded this long after its end. Processes treat a day as open for an hour less, so that
/// differing clocks do no harm and transactions in progress have long been committed.
pub(super) const ROLLUP_DELAY: TimeDelta = TimeDelta::hours(2);

/// A claimed day must be folded within this time. A day that changes after its end becomes due
/// after the same time.
pub(super) const ROLLUP_LEASE: TimeDelta = TimeDelta::minutes(10);

/// A day stays open for this long after its end; it is not folded before.
pub const OPEN_DAY_GRACE: TimeDelta = TimeDelta::hours(1);
