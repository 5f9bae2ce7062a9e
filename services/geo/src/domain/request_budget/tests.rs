use super::*;

fn noon() -> DateTime<Utc> {
    DateTime::from_timestamp(1_795_176_000, 0).unwrap()
}

fn paused(trouble: UpstreamError, from: DateTime<Utc>) -> BudgetState {
    let until = from + trouble.pause_duration();
    BudgetState::Paused {
        until,
        cause: trouble,
    }
}

#[test]
fn a_budget_lasts_a_day_of_utc() {
    let mut allowance = RequestBudget::new(2, noon());
    assert!(allowance.try_acquire(noon()));
    assert!(allowance.try_acquire(noon()));
    assert!(!allowance.try_acquire(noon()));
    assert_eq!(allowance.state(noon()), BudgetState::Exhausted);
    assert_eq!(allowance.usage(noon()), "2 of 2");
    let midnight = noon() + TimeDelta::hours(12);
    assert!(!allowance.try_acquire(midnight - TimeDelta::seconds(1)));
    assert_eq!(allowance.usage(midnight), "0 of 2");
    assert!(allowance.try_acquire(midnight));
    assert_eq!(allowance.usage(midnight), "1 of 2");
}

#[test]
fn what_is_certain_pauses_at_once_and_is_news_once() {
    for trouble in [
        UpstreamError::Unauthorized,
        UpstreamError::PaymentRequired,
        UpstreamError::RateLimited,
    ] {
        let mut allowance = RequestBudget::new(9, noon());
        assert!(allowance.record_failure(trouble, noon()));
        assert!(!allowance.record_failure(trouble, noon()));
        assert_eq!(allowance.state(noon()), paused(trouble, noon()));
        let end = noon() + trouble.pause_duration();
        assert_eq!(allowance.state(end), BudgetState::Ready);
    }
}

#[test]
fn silence_pauses_when_it_lasts() {
    let mut allowance = RequestBudget::new(9, noon());
    for _ in 1..FAILURE_THRESHOLD {
        assert!(!allowance.record_failure(UpstreamError::Unavailable, noon()));
    }
    assert!(!allowance.record_success());
    for _ in 1..FAILURE_THRESHOLD {
        assert!(!allowance.record_failure(UpstreamError::Unavailable, noon()));
    }
    assert_eq!(allowance.state(noon()), BudgetState::Ready);
    assert!(allowance.record_failure(UpstreamError::Unavailable, noon()));
    assert_eq!(
        allowance.state(noon()),
        paused(UpstreamError::Unavailable, noon())
    );
}

#[test]
fn after_a_pause_one_question_finds_out() {
    let mut allowance = RequestBudget::new(9, noon());
    allowance.record_failure(UpstreamError::RateLimited, noon());
    let end = noon() + UpstreamError::RateLimited.pause_duration();
    assert!(allowance.try_acquire(end));
    assert!(
        !allowance.try_acquire(end),
        "a second request before the outcome"
    );
    assert!(
        !allowance.record_failure(UpstreamError::RateLimited, end),
        "the cause is unchanged"
    );
    assert_eq!(
        allowance.state(end),
        paused(UpstreamError::RateLimited, end)
    );
    let end = end + UpstreamError::RateLimited.pause_duration();
    assert!(allowance.try_acquire(end));
    assert!(allowance.record_success());
    assert!(allowance.try_acquire(end));
}

#[test]
fn what_was_under_way_neither_ends_nor_shortens_a_pause() {
    let mut allowance = RequestBudget::new(9, noon());
    allowance.record_failure(UpstreamError::Unauthorized, noon());
    assert!(!allowance.record_success());
    assert!(!allowance.record_failure(UpstreamError::RateLimited, noon()));
    assert_eq!(
        allowance.state(noon()),
        paused(UpstreamError::Unauthorized, noon())
    );
}

#[test]
fn a_new_cause_is_news() {
    let mut allowance = RequestBudget::new(9, noon());
    allowance.record_failure(UpstreamError::RateLimited, noon());
    let end = noon() + UpstreamError::RateLimited.pause_duration();
    assert!(allowance.try_acquire(end));
    assert!(allowance.record_failure(UpstreamError::Unauthorized, end));
    assert_eq!(
        allowance.state(end),
        paused(UpstreamError::Unauthorized, end)
    );
}
