//! Queries of reports: attributes, filters, periods and intervals.

use std::ops::Range;

use chrono::{DateTime, Datelike as _, NaiveDate, TimeDelta, Utc};
use chrono_tz::Tz;

use super::aggregate::Metrics;
use super::column_block::ColumnKind;
use super::day::{LocalDay, LocalHour};
use super::dimension::Dimension;
use super::pattern::WildcardPattern;

/// An attribute by which visits are grouped and filtered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Attribute {
    /// A dimension; [`Dimension::Hour`] means the hour of local time, `00` to `23`.
    Dimension(Dimension),
    /// The day of the week, from `1` (Monday) to `7`.
    Weekday,
}

impl Attribute {
    /// Finds an attribute by its name, or by the name of the field of a visit.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        let dimension = match name {
            "total" => return None,
            "weekday" => return Some(Self::Weekday),
            "path" => Dimension::Page,
            "entry_path" => Dimension::EntryPage,
            "exit_path" => Dimension::ExitPage,
            "country_code" => Dimension::Country,
            "region_code" => Dimension::Region,
            "bot_reasons" => Dimension::BotReason,
            _ => Dimension::ALL.into_iter().find(|one| one.name() == name)?,
        };
        Some(Self::Dimension(dimension))
    }

    /// Whether the values are paths of pages.
    #[must_use]
    pub fn is_page(self) -> bool {
        let pages = [Dimension::Page, Dimension::EntryPage, Dimension::ExitPage];
        pages.map(Self::Dimension).contains(&self)
    }

    /// Like [`Self::from_name`]; of `property:plan` also returns the property's name.
    #[must_use]
    pub fn parse(name: &str) -> Option<(Self, Option<&str>)> {
        match name.strip_prefix("property:") {
            Some("") => None,
            Some(property) => Some((Self::Dimension(Dimension::Property), Some(property))),
            None => Some((Self::from_name(name)?, None)),
        }
    }

    /// The name in the API.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Dimension(dimension) => dimension.name(),
            Self::Weekday => "weekday",
        }
    }

    /// The column of column blocks that contains the attribute.
    #[must_use]
    pub fn column(self) -> ColumnKind {
        use Dimension as D;
        let Self::Dimension(dimension) = self else {
            return ColumnKind::QuarterHour;
        };
        match dimension {
            D::Total | D::Page | D::Title => ColumnKind::Page,
            D::EntryPage => ColumnKind::EntryPage,
            D::ExitPage => ColumnKind::ExitPage,
            D::Referrer
            | D::Source
            | D::Medium
            | D::Channel
            | D::UtmSource
            | D::UtmMedium
            | D::UtmCampaign
            | D::UtmTerm
            | D::UtmContent => ColumnKind::Origin,
            D::Country | D::Region | D::City => ColumnKind::Place,
            D::Browser | D::BrowserVersion | D::Os | D::OsVersion | D::DeviceType | D::Brand => {
                ColumnKind::UserAgent
            }
            D::Language => ColumnKind::Language,
            D::StatusCode => ColumnKind::Status,
            D::Hour => ColumnKind::QuarterHour,
            D::BotName | D::BotCategory | D::BotReason => ColumnKind::Verdict,
            D::AsOrganization => ColumnKind::Network,
            D::Property => ColumnKind::Properties,
        }
    }

    /// All attributes.
    pub fn all() -> impl Iterator<Item = Self> {
        let dimensions = Dimension::ALL.into_iter().skip(1).map(Self::Dimension);
        dimensions.chain([Self::Weekday])
    }
}

/// A filter on the values of an attribute.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct AttributeFilter {
    pub attribute: Attribute,
    /// The name of the property, if the attribute is [`Dimension::Property`].
    pub property: Option<String>,
    /// If not empty, at least one of these patterns must match.
    pub included: Vec<WildcardPattern>,
    /// None of these patterns may match.
    pub excluded: Vec<WildcardPattern>,
}

impl AttributeFilter {
    /// Whether a visit with these values passes. `None` stands for a missing value, which only the
    /// empty pattern matches.
    #[must_use]
    pub fn passes(&self, values: &[Option<&str>]) -> bool {
        let values = self.compared_values(values);
        let matches = |pattern: &WildcardPattern| {
            values.iter().any(|value| match value {
                Some(text) => pattern.matches(text),
                None => pattern.is_empty(),
            })
        };
        (self.included.is_empty() || self.included.iter().any(matches))
            && !self.excluded.iter().any(matches)
    }

    fn compared_values<'a>(&self, of_visit: &[Option<&'a str>]) -> Vec<Option<&'a str>> {
        let Some(property) = &self.property else {
            return of_visit.to_vec();
        };
        let own = of_visit.iter().flatten();
        let mut own = own.filter_map(|text| property_value(property, text));
        vec![own.next()]
    }
}

/// The value in `plan=pro`, if `property` is `plan`.
#[must_use]
pub fn property_value<'a>(property: &str, text: &'a str) -> Option<&'a str> {
    text.strip_prefix(property)?.strip_prefix('=')
}

/// A period in a time zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ReportPeriod {
    /// The time zone whose days are used.
    pub zone: Tz,
    /// The start.
    pub from: DateTime<Utc>,
    /// The end, which is not part of the period.
    pub to: DateTime<Utc>,
}

impl ReportPeriod {
    /// The period of whole days from `first` to `last`, inclusive.
    #[must_use]
    pub fn from_dates(zone: Tz, first: NaiveDate, last: NaiveDate) -> Self {
        Self {
            zone,
            from: LocalDay::new(zone, first).from,
            to: LocalDay::new(zone, last).to,
        }
    }

    /// The days of the period; the first and the last may be partial.
    pub fn days(&self) -> impl Iterator<Item = LocalDay> {
        let (from, to) = (self.from, self.to);
        let last = (to - TimeDelta::microseconds(1)).max(from);
        let days = LocalDay::between(self.zone, from, last).filter(move |_| from < to);
        days.filter(move |day| day.from < to)
            .map(move |day| LocalDay {
                date: day.date,
                from: day.from.max(from),
                to: day.to.min(to),
            })
    }

    /// Whether the period consists of whole days.
    #[must_use]
    pub fn is_whole_days(&self) -> bool {
        let begins = |moment| LocalDay::containing(self.zone, moment).from == moment;
        begins(self.from) && begins(self.to)
    }

    /// The preceding period of the same length: the same number of days, or the same duration.
    #[must_use]
    pub fn previous(&self) -> Self {
        if !self.is_whole_days() {
            return Self {
                from: self.from - (self.to - self.from),
                to: self.from,
                ..*self
            };
        }
        let first = LocalDay::containing(self.zone, self.from).date;
        let days = self.days().count() as u64;
        let earlier = first - chrono::Days::new(days);
        Self {
            from: LocalDay::new(self.zone, earlier).from,
            to: self.from,
            ..*self
        }
    }

    /// The same period a calendar year earlier.
    #[must_use]
    pub fn previous_year(&self) -> Self {
        let earlier = |moment: DateTime<Utc>| {
            let day = LocalDay::containing(self.zone, moment);
            let date = day.date.with_year(day.date.year() - 1);
            // February 29 becomes February 28.
            let date = date.unwrap_or(day.date - chrono::Days::new(366));
            LocalDay::new(self.zone, date).from + (moment - day.from)
        };
        Self {
            from: earlier(self.from),
            to: earlier(self.to),
            ..*self
        }
    }
}

/// A day in seconds since 1970.
#[must_use]
pub fn day_seconds(day: &LocalDay) -> Range<i64> {
    day.from.timestamp()..day.to.timestamp()
}

/// The length of the buckets of a time series.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Interval {
    Minute,
    Hour,
    Day,
    Week,
    Month,
}

impl TimeBucket {
    /// Adds metrics of people's and bots' sessions.
    pub fn add(&mut self, both: [Metrics; 2]) {
        for (sum, numbers) in self.metrics.iter_mut().zip(both) {
            *sum += numbers;
        }
    }

    /// Replaces the numbers of people and bots.
    pub fn set_visitors(&mut self, visitors: [i64; 2]) {
        for (sum, visitors) in self.metrics.iter_mut().zip(visitors) {
            sum.visitors = visitors;
        }
    }
}

/// A bucket of a time series.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimeBucket {
    /// The start, which may be before the period.
    pub start: DateTime<Utc>,
    /// The metrics of people's and bots' sessions.
    pub metrics: [Metrics; 2],
}

impl Interval {
    /// The start of the bucket that contains a moment.
    #[must_use]
    pub fn bucket_start(self, zone: Tz, moment: DateTime<Utc>) -> DateTime<Utc> {
        let day = LocalDay::containing(zone, moment);
        let date = match self {
            Self::Minute => return floor_to(moment, day.from, 60),
            Self::Hour => return hour_start(zone, &day, moment),
            Self::Day => return day.from,
            Self::Week => {
                let since = day.date.weekday().num_days_from_monday();
                day.date - chrono::Days::new(since.into())
            }
            Self::Month => day.date.with_day(1).unwrap_or(day.date),
        };
        LocalDay::new(zone, date).from
    }

    /// The buckets of a period, without metrics.
    #[must_use]
    pub fn buckets(self, period: &ReportPeriod) -> Vec<TimeBucket> {
        let starts = if period.from >= period.to {
            vec![]
        } else if self == Self::Hour {
            hour_starts(period)
        } else {
            let first = self.bucket_start(period.zone, period.from);
            let starts = std::iter::successors(Some(first), |start| {
                Some(self.next_bucket_start(period.zone, *start))
            });
            starts.take_while(|start| *start < period.to).collect()
        };
        let empty = |start| TimeBucket {
            start,
            metrics: [Metrics::default(); 2],
        };
        starts.into_iter().map(empty).collect()
    }

    fn next_bucket_start(self, zone: Tz, start: DateTime<Utc>) -> DateTime<Utc> {
        let days = match self {
            Self::Minute => return start + TimeDelta::minutes(1),
            Self::Hour | Self::Day => 1,
            Self::Week => 7,
            Self::Month => 31,
        };
        let date = LocalDay::containing(zone, start).date + chrono::Days::new(days);
        self.bucket_start(zone, LocalDay::new(zone, date).from)
    }
}

/// The starts of the hours of a period; the first may be before the period.
fn hour_starts(period: &ReportPeriod) -> Vec<DateTime<Utc>> {
    let zone = period.zone;
    let mut starts = vec![];
    let last = period.to - TimeDelta::microseconds(1);
    for day in LocalDay::between(zone, period.from, last) {
        let (mut known, mut moment) = (None, day.from);
        while moment < day.to.min(period.to) {
            // Clocks change by multiples of a quarter hour.
            let hour = Some(LocalHour::containing(zone, moment));
            if hour != known {
                known = hour;
                starts.push(moment);
            }
            moment += TimeDelta::minutes(15);
        }
    }
    let before = starts.partition_point(|start| *start <= period.from);
    starts.drain(..before.saturating_sub(1));
    starts
}

fn floor_to(moment: DateTime<Utc>, from: DateTime<Utc>, seconds: i64) -> DateTime<Utc> {
    let since = (moment - from).num_seconds().rem_euclid(seconds);
    let whole = moment - TimeDelta::seconds(since);
    DateTime::from_timestamp(whole.timestamp(), 0).unwrap_or(whole)
}

/// The start of the hour of local time that contains a moment.
fn hour_start(zone: Tz, day: &LocalDay, moment: DateTime<Utc>) -> DateTime<Utc> {
    let hour = LocalHour::containing(zone, moment);
    let mut start = floor_to(moment, day.from, 900);
    loop {
        let before = start - TimeDelta::minutes(15);
        if before < day.from || LocalHour::containing(zone, before) != hour {
            return start;
        }
        start = before;
    }
}

#[cfg(test)]
mod tests;
