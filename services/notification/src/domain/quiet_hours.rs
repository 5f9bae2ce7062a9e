//! Quiet hours, in the recipient's time zone.

use chrono::{
    DateTime, Datelike as _, MappedLocalTime, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta, Utc,
    Weekday,
};
use chrono_tz::Tz;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A message is sent after this many adjacent windows, so that quiet hours that cover the whole day
/// do not hold it forever.
const MAX_CONSECUTIVE_WINDOWS: usize = 16;

/// What happens to messages in quiet hours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum QuietHoursMode {
    /// The message waits until the quiet hours end.
    #[default]
    Hold,
    /// The message is not sent.
    Drop,
}

/// A day of the week.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum DayOfWeek {
    Mon,
    Tue,
    Wed,
    Thu,
    Fri,
    Sat,
    Sun,
}

impl DayOfWeek {
    const fn weekday(self) -> Weekday {
        match self {
            Self::Mon => Weekday::Mon,
            Self::Tue => Weekday::Tue,
            Self::Wed => Weekday::Wed,
            Self::Thu => Weekday::Thu,
            Self::Fri => Weekday::Fri,
            Self::Sat => Weekday::Sat,
            Self::Sun => Weekday::Sun,
        }
    }
}

/// Parses a time of the day such as `22:00`.
#[must_use]
pub fn parse_start_time(text: &str) -> Option<NaiveTime> {
    NaiveTime::parse_from_str(text, "%H:%M").ok()
}

/// Parses a time of the day. `24:00` is the end of the day: 00:00 of the next one.
#[must_use]
pub fn parse_end_time(text: &str) -> Option<NaiveTime> {
    match text {
        "24:00" => Some(NaiveTime::MIN),
        text => parse_start_time(text),
    }
}

/// Hours that recur on each day, or on some days of the week.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QuietHours {
    pub from: NaiveTime,
    /// On the next day unless it is later than `from`.
    pub to: NaiveTime,
    /// Days on which the hours start; empty means every day.
    pub days: Vec<DayOfWeek>,
    /// Applies to recipients without a time zone.
    pub time_zone: Tz,
    pub mode: QuietHoursMode,
}

impl QuietHours {
    /// Returns the end of the window that contains `now` for a recipient in `zone`.
    fn end_of_window(&self, now: DateTime<Utc>, zone: Option<Tz>) -> Option<DateTime<Utc>> {
        let zone = zone.unwrap_or(self.time_zone);
        let today = now.with_timezone(&zone).date_naive();
        let days = [today.pred_opt()?, today];
        let windows = days.into_iter().filter(|day| self.starts_on(*day));
        let windows = windows.filter_map(|day| self.window_on(day, zone));
        windows
            .filter(|(from, to)| *from <= now && now < *to)
            .map(|(_, to)| to)
            .max()
    }

    fn starts_on(&self, day: NaiveDate) -> bool {
        self.days.is_empty() || self.days.iter().any(|d| d.weekday() == day.weekday())
    }

    fn window_on(&self, day: NaiveDate, zone: Tz) -> Option<(DateTime<Utc>, DateTime<Utc>)> {
        let last = if self.to > self.from {
            day
        } else {
            day.succ_opt()?
        };
        Some((
            to_utc(day.and_time(self.from), zone, MappedLocalTime::earliest)?,
            to_utc(last.and_time(self.to), zone, MappedLocalTime::latest)?,
        ))
    }
}

/// Converts a local time. `choose` selects an occurrence if the clocks are put back and the time
/// occurs twice: quiet hours start at the first and end at the second. A time that is skipped is one
/// hour later.
fn to_utc(
    local: NaiveDateTime,
    zone: Tz,
    choose: impl Fn(MappedLocalTime<DateTime<Tz>>) -> Option<DateTime<Tz>>,
) -> Option<DateTime<Utc>> {
    let at = |local: NaiveDateTime| choose(local.and_local_timezone(zone));
    let found = at(local).or_else(|| at(local + TimeDelta::hours(1)))?;
    Some(found.with_timezone(&Utc))
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QuietHoursDecision {
    Send,
    Hold(DateTime<Utc>),
    /// The message is not sent.
    Drop,
}

/// Applies all quiet hours to a message that is due at `now`. `Drop` takes precedence over `Hold`.
#[must_use]
pub fn apply_quiet_hours(
    all: &[QuietHours],
    now: DateTime<Utc>,
    zone: Option<Tz>,
) -> QuietHoursDecision {
    let dropped = |quiet: &QuietHours| {
        quiet.mode == QuietHoursMode::Drop && quiet.end_of_window(now, zone).is_some()
    };
    if all.iter().any(dropped) {
        return QuietHoursDecision::Drop;
    }
    let mut until = now;
    for _ in 0..MAX_CONSECUTIVE_WINDOWS {
        let ends = all
            .iter()
            .filter_map(|quiet| quiet.end_of_window(until, zone));
        match ends.max() {
            Some(end) => until = end,
            None => break,
        }
    }
    if until == now {
        QuietHoursDecision::Send
    } else {
        QuietHoursDecision::Hold(until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    fn quiet(from: &str, to: &str, days: &[DayOfWeek], mode: QuietHoursMode) -> QuietHours {
        QuietHours {
            from: from.parse().unwrap(),
            to: to.parse().unwrap(),
            days: days.to_vec(),
            time_zone: Tz::UTC,
            mode,
        }
    }

    #[test]
    fn nights_are_held_in_the_recipients_zone() {
        let night = [quiet("22:00:00", "07:00:00", &[], QuietHoursMode::Hold)];
        let of = |now, zone| apply_quiet_hours(&night, at(now), zone);
        assert_eq!(of("2026-11-20T21:59:59Z", None), QuietHoursDecision::Send);
        let morning = QuietHoursDecision::Hold(at("2026-11-21T07:00:00Z"));
        assert_eq!(of("2026-11-20T22:00:00Z", None), morning);
        assert_eq!(of("2026-11-21T06:59:59Z", None), morning);
        assert_eq!(of("2026-11-21T07:00:00Z", None), QuietHoursDecision::Send);
        let new_york = Some(Tz::America__New_York);
        assert_eq!(
            of("2026-11-20T06:00:00Z", new_york),
            QuietHoursDecision::Hold(at("2026-11-20T12:00:00Z"))
        );
    }

    #[test]
    fn days_join_and_drop_wins() {
        use DayOfWeek::{Sat, Sun};
        let weekend = quiet("00:00:00", "00:00:00", &[Sat, Sun], QuietHoursMode::Hold);
        let night = quiet("22:00:00", "07:00:00", &[], QuietHoursMode::Hold);
        let all = [weekend.clone(), night];
        // From Friday night to Monday morning.
        assert_eq!(
            apply_quiet_hours(&all, at("2026-11-20T23:00:00Z"), None),
            QuietHoursDecision::Hold(at("2026-11-23T07:00:00Z"))
        );
        let dropped = QuietHours {
            mode: QuietHoursMode::Drop,
            ..weekend
        };
        let saturday = at("2026-11-21T12:00:00Z");
        assert_eq!(
            apply_quiet_hours(&[dropped], saturday, None),
            QuietHoursDecision::Drop
        );
        let always = [quiet("00:00:00", "00:00:00", &[], QuietHoursMode::Hold)];
        assert!(matches!(
            apply_quiet_hours(&always, saturday, None),
            QuietHoursDecision::Hold(_)
        ));
    }

    #[test]
    fn clocks_that_change_neither_fail_nor_repeat() {
        let berlin = Some(Tz::Europe__Berlin);
        let early = [quiet("02:30:00", "06:00:00", &[], QuietHoursMode::Hold)];
        let spring = apply_quiet_hours(&early, at("2026-03-29T01:45:00Z"), berlin);
        assert_eq!(spring, QuietHoursDecision::Hold(at("2026-03-29T04:00:00Z")));
        let autumn = apply_quiet_hours(&early, at("2026-10-25T01:15:00Z"), berlin);
        assert_eq!(autumn, QuietHoursDecision::Hold(at("2026-10-25T05:00:00Z")));
    }

    #[test]
    fn an_hour_that_repeats_is_quiet_both_times() {
        let berlin = Some(Tz::Europe__Berlin);
        let of = |from, to, now| {
            let quiet = [quiet(from, to, &[], QuietHoursMode::Hold)];
            apply_quiet_hours(&quiet, at(now), berlin)
        };
        let second_end = QuietHoursDecision::Hold(at("2026-10-25T01:30:00Z"));
        // 22:00 on the day before, 02:15 and 02:15 again.
        for now in [
            "2026-10-24T20:00:00Z",
            "2026-10-25T00:15:00Z",
            "2026-10-25T01:15:00Z",
        ] {
            assert_eq!(of("22:00:00", "02:30:00", now), second_end, "{now}");
        }
        let send = QuietHoursDecision::Send;
        assert_eq!(of("22:00:00", "02:30:00", "2026-10-25T01:30:00Z"), send);
        // From the first 02:15 to the second 02:45.
        let end = QuietHoursDecision::Hold(at("2026-10-25T01:45:00Z"));
        assert_eq!(of("02:15:00", "02:45:00", "2026-10-25T00:15:00Z"), end);
        assert_eq!(of("02:15:00", "02:45:00", "2026-10-25T00:14:00Z"), send);
        assert_eq!(of("02:15:00", "02:45:00", "2026-10-25T01:10:00Z"), end);
        // An end at 03:00 occurs once.
        let three = QuietHoursDecision::Hold(at("2026-10-25T02:00:00Z"));
        assert_eq!(of("22:00:00", "03:00:00", "2026-10-25T01:15:00Z"), three);
    }

    #[test]
    fn a_day_ends_at_24_00() {
        let of = |from: &str, now| {
            let quiet = QuietHours {
                from: parse_start_time(from).unwrap(),
                to: parse_end_time("24:00").unwrap(),
                ..quiet(
                    "00:00:00",
                    "00:00:00",
                    &[DayOfWeek::Sat],
                    QuietHoursMode::Hold,
                )
            };
            apply_quiet_hours(&[quiet], at(now), None)
        };
        let midnight = QuietHoursDecision::Hold(at("2026-11-22T00:00:00Z"));
        assert_eq!(of("22:00", "2026-11-21T23:00:00Z"), midnight);
        assert_eq!(of("00:00", "2026-11-21T00:00:00Z"), midnight);
        assert_eq!(
            of("00:00", "2026-11-22T00:00:00Z"),
            QuietHoursDecision::Send
        );
        assert_eq!(parse_start_time("24:00"), None);
        assert_eq!(parse_end_time("24:01"), None);
    }
}
