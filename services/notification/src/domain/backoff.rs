//! The retry schedule of failed deliveries.

use chrono::TimeDelta;

/// Waits after the first, second … attempt: 5 s, 30 s, 2 min, 10 min, 1 h, 6 h, 24 h.
const RETRY_DELAYS_SECONDS: [i64; 7] = [5, 30, 120, 600, 3_600, 21_600, 86_400];

/// Returns a random number from 0 to 1, so that deliveries that failed together are not retried
/// together.
pub type JitterFn = fn() -> f64;

/// Returns the wait after attempt number `tries` (starting at 1), extended by up to a tenth; `None`
/// when the schedule is exhausted.
#[must_use]
pub fn retry_delay(tries: i32, jitter: f64) -> Option<TimeDelta> {
    let step = usize::try_from(tries).ok()?.checked_sub(1)?;
    let seconds = *RETRY_DELAYS_SECONDS.get(step)?;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_precision_loss,
        reason = "a day in milliseconds fits both types"
    )]
    let extra = (seconds as f64 * 100.0 * jitter.clamp(0.0, 1.0)) as i64;
    Some(TimeDelta::milliseconds(seconds * 1_000 + extra))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_and_end() {
        let waits: Vec<_> = (1..).map_while(|tries| retry_delay(tries, 0.0)).collect();
        let seconds: Vec<_> = waits.iter().map(TimeDelta::num_seconds).collect();
        assert_eq!(seconds, RETRY_DELAYS_SECONDS);
        assert_eq!(retry_delay(0, 0.0), None);
    }

    #[test]
    fn jitter_adds_a_tenth_at_most() {
        assert_eq!(retry_delay(1, 0.5), Some(TimeDelta::milliseconds(5_250)));
        assert_eq!(
            retry_delay(7, 1.0),
            Some(TimeDelta::seconds(86_400 + 8_640))
        );
    }
}
