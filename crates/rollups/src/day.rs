//! Days and hours in a site's time zone.

use std::fmt;

use chrono::{DateTime, Days, MappedLocalTime, NaiveDate, NaiveTime, Offset as _, TimeDelta};
use chrono::{TimeZone as _, Timelike as _, Utc};
use chrono_tz::Tz;

/// A day in a time zone, from midnight to midnight: usually 23 to 25 hours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct LocalDay {
    pub date: NaiveDate,
    /// The start of the day.
    pub from: DateTime<Utc>,
    /// The start of the next day, which is not part of this one.
    pub to: DateTime<Utc>,
}

impl LocalDay {
    #[must_use]
    pub fn new(zone: Tz, date: NaiveDate) -> Self {
        Self {
            date,
            from: midnight(zone, date),
            to: midnight(zone, date + Days::new(1)),
        }
    }

    /// The day that contains a moment.
    #[must_use]
    pub fn containing(zone: Tz, moment: DateTime<Utc>) -> Self {
        let date = moment.with_timezone(&zone).date_naive();
        let day = Self::new(zone, date);
        // If the clock is set back across midnight, the date occurs twice.
        if moment < day.from {
            Self::new(zone, date - Days::new(1))
        } else if moment >= day.to {
            Self::new(zone, date + Days::new(1))
        } else {
            day
        }
    }

    /// The days from the one that contains `from` to the one that contains `to`; `from` must not be
    /// later than `to`.
    pub fn between(zone: Tz, from: DateTime<Utc>, to: DateTime<Utc>) -> impl Iterator<Item = Self> {
        let next = move |day: &Self| Some(Self::new(zone, day.date + Days::new(1)));
        std::iter::successors(Some(Self::containing(zone, from)), next)
            .take_while(move |day| day.from <= to)
    }

    #[must_use]
    pub fn contains(&self, moment: DateTime<Utc>) -> bool {
        self.from <= moment && moment < self.to
    }
}

/// The hour of local time with its offset from UTC, which distinguishes the two equal hours when
/// the clock is set back. Formatted as `01+02:00`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct LocalHour {
    hour: u32,
    /// Offset from UTC in minutes.
    offset_minutes: i32,
}

impl LocalHour {
    /// The hour that contains a moment.
    #[must_use]
    pub fn containing(zone: Tz, moment: DateTime<Utc>) -> Self {
        let local = moment.with_timezone(&zone);
        Self {
            hour: local.hour(),
            offset_minutes: local.offset().fix().local_minus_utc() / 60,
        }
    }

    /// Parses the format of `Display`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (hour, offset) = text.split_at_checked(2)?;
        let (sign, offset) = offset.split_at_checked(1)?;
        let (hours, minutes) = offset.split_once(':')?;
        let offset = hours.parse::<i32>().ok()? * 60 + minutes.parse::<i32>().ok()?;
        Some(Self {
            hour: hour.parse().ok()?,
            offset_minutes: if sign == "-" { -offset } else { offset },
        })
    }
}

impl fmt::Display for LocalHour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.offset_minutes < 0 { '-' } else { '+' };
        let offset = self.offset_minutes.abs();
        let (hours, minutes) = (offset / 60, offset % 60);
        write!(f, "{:02}{sign}{hours:02}:{minutes:02}", self.hour)
    }
}

/// The start of a date, computed as PostgreSQL's `at time zone`: the later of two midnights; if
/// midnight is skipped, the offset before the change applies.
fn midnight(zone: Tz, date: NaiveDate) -> DateTime<Utc> {
    let local = date.and_time(NaiveTime::MIN);
    match zone.from_local_datetime(&local) {
        MappedLocalTime::Single(moment) | MappedLocalTime::Ambiguous(_, moment) => {
            moment.with_timezone(&Utc)
        }
        MappedLocalTime::None => {
            let before = zone.offset_from_utc_datetime(&(local - TimeDelta::days(1)));
            let offset = before.fix().local_minus_utc();
            local.and_utc() - TimeDelta::seconds(offset.into())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    #[test]
    fn days_follow_the_clock() {
        let of = |zone: Tz, moment| {
            let day = LocalDay::containing(zone, at(moment));
            (day.date.to_string(), (day.to - day.from).num_minutes())
        };
        let day = |date: &str, minutes| (date.to_owned(), minutes);
        assert_eq!(of(Tz::UTC, "2026-11-20T23:59:59Z"), day("2026-11-20", 1440));
        let kolkata = Tz::Asia__Kolkata;
        assert_eq!(of(kolkata, "2026-11-20T18:29:59Z"), day("2026-11-20", 1440));
        assert_eq!(of(kolkata, "2026-11-20T18:30:00Z"), day("2026-11-21", 1440));
        let berlin = Tz::Europe__Berlin;
        assert_eq!(of(berlin, "2026-10-25T12:00:00Z"), day("2026-10-25", 1500));
        assert_eq!(of(berlin, "2026-03-29T12:00:00Z"), day("2026-03-29", 1380));
        // Midnight is skipped.
        let brazil = Tz::America__Sao_Paulo;
        assert_eq!(of(brazil, "2018-11-04T12:00:00Z"), day("2018-11-04", 1380));
        // The clock is set back from 00:01 to 23:01 of the evening before.
        let canada = Tz::America__St_Johns;
        assert_eq!(of(canada, "2010-11-07T02:30:30Z"), day("2010-11-06", 1500));
        assert_eq!(of(canada, "2010-11-07T03:30:00Z"), day("2010-11-07", 1440));
    }

    #[test]
    fn every_moment_has_one_day_and_days_follow_each_other() {
        let zones = [
            Tz::Australia__Lord_Howe,
            Tz::America__St_Johns,
            Tz::Pacific__Apia,
            Tz::Africa__Cairo,
        ];
        for zone in zones {
            let (from, to) = (at("2009-12-30T00:00:00Z"), at("2012-01-05T00:00:00Z"));
            let days: Vec<LocalDay> = LocalDay::between(zone, from, to).collect();
            assert!(days.windows(2).all(|pair| pair[0].to == pair[1].from));
            let mut moment = from;
            while moment < to {
                let day = LocalDay::containing(zone, moment);
                assert!(day.contains(moment), "{zone} {moment} {day:?}");
                moment += TimeDelta::minutes(29);
            }
        }
    }

    #[test]
    fn an_hour_that_comes_twice_has_two_names() {
        for (zone, moment, text) in [
            (Tz::Europe__Berlin, "2026-10-25T00:30:00Z", "02+02:00"),
            (Tz::Europe__Berlin, "2026-10-25T01:30:00Z", "02+01:00"),
            (Tz::America__St_Johns, "2026-11-20T12:00:00Z", "08-03:30"),
        ] {
            let hour = LocalHour::containing(zone, at(moment));
            assert_eq!(hour.to_string(), text);
            assert_eq!(LocalHour::parse(text), Some(hour));
        }
        assert_eq!(LocalHour::parse("é"), None);
        assert_eq!(LocalHour::parse(""), None);
    }
}
