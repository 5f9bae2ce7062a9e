//! Quiet hours: when somebody is not to be disturbed, in that person's time zone.

use chrono::{
    DateTime, Datelike as _, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta, Utc, Weekday,
};
use chrono_tz::Tz;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// After so many windows that follow each other at once the message goes out.
const MAX_CONSECUTIVE_WINDOWS: usize = 16;

/// What happens to a message in quiet hours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum QuietHoursMode {
    /// It waits for their end.
    #[default]
    Hold,
    /// It is not sent.
    Drop,
}

/// A day of the week.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "days are known")]
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

/// Hours that come again each day, or on some days.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QuietHours {
    /// When they begin.
    pub from: NaiveTime,
    /// When they end: on the next day where that is not after `from`.
    pub to: NaiveTime,
    /// The days on which they begin; empty for all.
    pub days: Vec<DayOfWeek>,
    /// Where nothing is known of the recipient's.
    pub time_zone: Tz,
    /// What happens to a message.
    pub mode: QuietHoursMode,
}

impl QuietHours {
    /// When those end that it is in, at `now`, for somebody in `zone`.
    fn end(&self, now: DateTime<Utc>, zone: Option<Tz>) -> Option<DateTime<Utc>> {
        let zone = zone.unwrap_or(self.time_zone);
        let today = now.with_timezone(&zone).date_naive();
        let days = [today.pred_opt()?, today];
        let windows = days.into_iter().filter(|day| self.begins_on(*day));
        let windows = windows.filter_map(|day| self.window(day, zone));
        windows
            .filter(|(from, to)| *from <= now && now < *to)
            .map(|(_, to)| to)
            .max()
    }

    fn begins_on(&self, day: NaiveDate) -> bool {
        self.days.is_empty() || self.days.iter().any(|d| d.weekday() == day.weekday())
    }

    fn window(&self, day: NaiveDate, zone: Tz) -> Option<(DateTime<Utc>, DateTime<Utc>)> {
        let last = if self.to > self.from {
            day
        } else {
            day.succ_opt()?
        };
        Some((
            moment(day.and_time(self.from), zone)?,
            moment(last.and_time(self.to), zone)?,
        ))
    }
}

/// That time in that zone: the first where clocks show it twice, an hour later where never.
fn moment(local: NaiveDateTime, zone: Tz) -> Option<DateTime<Utc>> {
    let at = |local: NaiveDateTime| local.and_local_timezone(zone).earliest();
    let found = at(local).or_else(|| at(local + TimeDelta::hours(1)))?;
    Some(found.with_timezone(&Utc))
}

/// What quiet hours make of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QuietHoursDecision {
    /// It is no quiet hour.
    Send,
    /// It waits until then.
    Hold(DateTime<Utc>),
    /// It is not sent.
    Drop,
}

/// What all of somebody's quiet hours make of a message at `now`.
#[must_use]
pub fn verdict(all: &[QuietHours], now: DateTime<Utc>, zone: Option<Tz>) -> QuietHoursDecision {
    let dropped =
        |quiet: &QuietHours| quiet.mode == QuietHoursMode::Drop && quiet.end(now, zone).is_some();
    if all.iter().any(dropped) {
        return QuietHoursDecision::Drop;
    }
    let mut until = now;
    for _ in 0..MAX_CONSECUTIVE_WINDOWS {
        let ends = all.iter().filter_map(|quiet| quiet.end(until, zone));
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
        let of = |now, zone| verdict(&night, at(now), zone);
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
            verdict(&all, at("2026-11-20T23:00:00Z"), None),
            QuietHoursDecision::Hold(at("2026-11-23T07:00:00Z"))
        );
        let dropped = QuietHours {
            mode: QuietHoursMode::Drop,
            ..weekend
        };
        let saturday = at("2026-11-21T12:00:00Z");
        assert_eq!(
            verdict(&[dropped], saturday, None),
            QuietHoursDecision::Drop
        );
        let always = [quiet("00:00:00", "00:00:00", &[], QuietHoursMode::Hold)];
        assert!(matches!(
            verdict(&always, saturday, None),
            QuietHoursDecision::Hold(_)
        ));
    }

    #[test]
    fn clocks_that_change_neither_fail_nor_repeat() {
        let berlin = Some(Tz::Europe__Berlin);
        let early = [quiet("02:30:00", "06:00:00", &[], QuietHoursMode::Hold)];
        let spring = verdict(&early, at("2026-03-29T01:45:00Z"), berlin);
        assert_eq!(spring, QuietHoursDecision::Hold(at("2026-03-29T04:00:00Z")));
        let autumn = verdict(&early, at("2026-10-25T01:15:00Z"), berlin);
        assert_eq!(autumn, QuietHoursDecision::Hold(at("2026-10-25T05:00:00Z")));
    }
}
