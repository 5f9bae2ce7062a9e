use super::*;

fn noon() -> DateTime<Utc> {
    DateTime::from_timestamp(1_795_176_000, 0).unwrap()
}

fn paused(trouble: UpstreamError, from: DateTime<Utc>) -> BudgetState {
    let until = from + trouble.pause();
    BudgetState::Paused { until, trouble }
}

#[test]
fn a_budget_lasts_a_day_of_utc() {
    let mut allowance = RequestBudget::new(2, noon());
    assert!(allowance.admit(noon()));
    assert!(allowance.admit(noon()));
    assert!(!allowance.admit(noon()));
    assert_eq!(allowance.state(noon()), BudgetState::Spent);
    assert_eq!(allowance.usage(noon()), "2 of 2");
    let midnight = noon() + TimeDelta::hours(12);
    assert!(!allowance.admit(midnight - TimeDelta::seconds(1)));
    assert_eq!(allowance.usage(midnight), "0 of 2");
    assert!(allowance.admit(midnight));
    assert_eq!(allowance.usage(midnight), "1 of 2");
}

#[test]
fn what_is_certain_pauses_at_once_and_is_news_once() {
    for trouble in [
        UpstreamError::Unauthorized,
        UpstreamError::Unpaid,
        UpstreamError::Busy,
    ] {
        let mut allowance = RequestBudget::new(9, noon());
        assert!(allowance.failed(trouble, noon()));
        assert!(!allowance.failed(trouble, noon()));
        assert_eq!(allowance.state(noon()), paused(trouble, noon()));
        let end = noon() + trouble.pause();
        assert_eq!(allowance.state(end), BudgetState::Ready);
    }
}

#[test]
fn silence_pauses_when_it_lasts() {
    let mut allowance = RequestBudget::new(9, noon());
    for _ in 1..FAILURE_THRESHOLD {
        assert!(!allowance.failed(UpstreamError::Away, noon()));
    }
    assert!(!allowance.succeeded());
    for _ in 1..FAILURE_THRESHOLD {
        assert!(!allowance.failed(UpstreamError::Away, noon()));
    }
    assert_eq!(allowance.state(noon()), BudgetState::Ready);
    assert!(allowance.failed(UpstreamError::Away, noon()));
    assert_eq!(allowance.state(noon()), paused(UpstreamError::Away, noon()));
}

#[test]
fn after_a_pause_one_question_finds_out() {
    let mut allowance = RequestBudget::new(9, noon());
    allowance.failed(UpstreamError::Busy, noon());
    let end = noon() + UpstreamError::Busy.pause();
    assert!(allowance.admit(end));
    assert!(!allowance.admit(end), "a second request before the outcome");
    assert!(
        !allowance.failed(UpstreamError::Busy, end),
        "the cause is unchanged"
    );
    assert_eq!(allowance.state(end), paused(UpstreamError::Busy, end));
    let end = end + UpstreamError::Busy.pause();
    assert!(allowance.admit(end));
    assert!(allowance.succeeded());
    assert!(allowance.admit(end));
}

#[test]
fn what_was_under_way_neither_ends_nor_shortens_a_pause() {
    let mut allowance = RequestBudget::new(9, noon());
    allowance.failed(UpstreamError::Unauthorized, noon());
    assert!(!allowance.succeeded());
    assert!(!allowance.failed(UpstreamError::Busy, noon()));
    assert_eq!(
        allowance.state(noon()),
        paused(UpstreamError::Unauthorized, noon())
    );
}

#[test]
fn a_new_cause_is_news() {
    let mut allowance = RequestBudget::new(9, noon());
    allowance.failed(UpstreamError::Busy, noon());
    let end = noon() + UpstreamError::Busy.pause();
    assert!(allowance.admit(end));
    assert!(allowance.failed(UpstreamError::Unauthorized, end));
    assert_eq!(
        allowance.state(end),
        paused(UpstreamError::Unauthorized, end)
    );
}
