use super::*;

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

fn date(text: &str) -> NaiveDate {
    text.parse().unwrap()
}

fn period(zone: Tz, from: &str, to: &str) -> ReportPeriod {
    ReportPeriod {
        zone,
        from: at(from),
        to: at(to),
    }
}

#[test]
fn a_period_has_its_days() {
    let zone = Tz::Europe__Berlin;
    let week = ReportPeriod::from_dates(zone, date("2026-10-19"), date("2026-10-25"));
    assert!(week.is_whole_days());
    assert_eq!(week.days().count(), 7);
    assert_eq!((week.to - week.from).num_hours(), 7 * 24 + 1);
    let cut = period(zone, "2026-10-24T12:00:00Z", "2026-10-25T12:00:00Z");
    assert!(!cut.is_whole_days());
    let days: Vec<LocalDay> = cut.days().collect();
    assert_eq!(days.len(), 2);
    assert_eq!(days[0].from, cut.from);
    assert_eq!(days[0].to, days[1].from);
    assert_eq!(days[1].to, cut.to);
    let nothing = period(zone, "2026-10-24T12:00:00Z", "2026-10-24T12:00:00Z");
    assert_eq!(nothing.days().count(), 0);
    assert_eq!(Interval::Day.buckets(&nothing).len(), 0);
}

#[test]
fn comparisons_go_by_the_calendar() {
    let zone = Tz::Europe__Berlin;
    let week = ReportPeriod::from_dates(zone, date("2026-10-19"), date("2026-10-25"));
    let before = ReportPeriod::from_dates(zone, date("2026-10-12"), date("2026-10-18"));
    assert_eq!(week.previous(), before);
    let year = ReportPeriod::from_dates(zone, date("2025-10-19"), date("2025-10-25"));
    assert_eq!(week.previous_year(), year);
    let leap = ReportPeriod::from_dates(zone, date("2028-02-29"), date("2028-02-29"));
    let year = ReportPeriod::from_dates(zone, date("2027-02-28"), date("2027-02-28"));
    assert_eq!(leap.previous_year(), year);
    let hours = period(zone, "2026-10-24T12:00:00Z", "2026-10-24T15:00:00Z");
    let before = period(zone, "2026-10-24T09:00:00Z", "2026-10-24T12:00:00Z");
    assert_eq!(hours.previous(), before);
}

#[test]
fn hours_follow_the_clock() {
    let starts = |zone, day: &str| -> Vec<String> {
        let day = ReportPeriod::from_dates(zone, date(day), date(day));
        let buckets = Interval::Hour.buckets(&day);
        buckets
            .iter()
            .map(|bucket| bucket.start.format("%H:%M").to_string())
            .collect()
    };
    assert_eq!(starts(Tz::UTC, "2026-10-25").len(), 24);
    let berlin = starts(Tz::Europe__Berlin, "2026-10-25");
    assert_eq!(berlin.len(), 25);
    assert_eq!(berlin[..4], ["22:00", "23:00", "00:00", "01:00"]);
    assert_eq!(starts(Tz::Europe__Berlin, "2026-03-29").len(), 23);
    assert_eq!(
        starts(Tz::Asia__Kolkata, "2026-03-29")[..2],
        ["18:30", "19:30"]
    );
    // The clock is set back by half an hour.
    assert_eq!(starts(Tz::Australia__Lord_Howe, "2026-04-05").len(), 25);
}

#[test]
fn weeks_begin_on_mondays_and_months_on_the_first() {
    let period = ReportPeriod::from_dates(Tz::UTC, date("2026-10-28"), date("2026-12-01"));
    let starts = |interval: Interval| -> Vec<String> {
        let buckets = interval.buckets(&period);
        buckets
            .iter()
            .map(|bucket| bucket.start.date_naive().to_string())
            .collect()
    };
    assert_eq!(
        starts(Interval::Month),
        ["2026-10-01", "2026-11-01", "2026-12-01"]
    );
    let weeks = starts(Interval::Week);
    assert_eq!([&weeks[0], &weeks[5]], ["2026-10-26", "2026-11-30"]);
    assert_eq!(weeks.len(), 6);
    assert_eq!(starts(Interval::Day).len(), 35);
    assert_eq!(Interval::Minute.buckets(&period).len(), 35 * 1_440);
}

#[test]
fn a_filter_takes_any_of_and_none_of() {
    let pattern = |text: &&str| WildcardPattern::parse(text).unwrap();
    let passes = |any: &[&str], none: &[&str], values: &[Option<&str>]| {
        let filter = AttributeFilter {
            property: None,
            attribute: Attribute::Weekday,
            included: any.iter().map(pattern).collect(),
            excluded: none.iter().map(pattern).collect(),
        };
        filter.passes(values)
    };
    assert!(passes(&["a", "b*"], &[], &[Some("bc")]));
    assert!(!passes(&["a", "b*"], &["bc"], &[Some("bc")]));
    assert!(!passes(&["a"], &[], &[None]));
    assert!(passes(&[], &["a"], &[None]));
    assert!(passes(&[""], &[], &[None]));
    assert!(!passes(&[], &[""], &[None]));
    assert!(!passes(&["*"], &[], &[None]));
    assert!(!passes(&[], &["a"], &[Some("a"), Some("b")]));
}

#[test]
fn subjects_have_names_of_their_own() {
    for subject in Attribute::all() {
        assert_eq!(Attribute::from_name(subject.name()), Some(subject));
    }
    assert_eq!(Attribute::from_name("total"), None);
    assert_eq!(
        Attribute::from_name("path"),
        Some(Attribute::Dimension(Dimension::Page))
    );
}
