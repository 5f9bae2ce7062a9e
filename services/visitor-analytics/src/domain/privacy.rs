//! The privacy settings: visitor ids, addresses, opt-outs, retention, query parameters.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use chrono::{DateTime, Datelike as _, NaiveDate, TimeDelta, Utc};
use user_agent::RequestHeaders;

use super::session::SESSION_TIMEOUT;
use super::source::QueryParameterAllowlist;
use super::visitor_id::VisitorIdLifetime;

/// The privacy settings of the service.
#[derive(Clone, Debug, Default)]
pub struct PrivacyPolicy {
    pub visitor_id_lifetime: VisitorIdLifetime,
    pub ip_storage: IpStorage,
    /// Whether `DNT` and `Sec-GPC` are respected.
    pub respect_dnt: bool,
    pub retention: RetentionPeriod,
    /// The query parameters that are stored with URLs.
    pub query_parameters: QueryParameterAllowlist,
}

impl PrivacyPolicy {
    /// Whether the visitor opts out of tracking by `DNT: 1` (W3C, Tracking Preference Expression)
    /// or `Sec-GPC: 1` (W3C, Global Privacy Control), and the service respects it.
    #[must_use]
    pub fn has_opted_out(&self, headers: Option<&RequestHeaders>) -> bool {
        let asks = |name| headers.and_then(|h| h.get(name)).map(str::trim) == Some("1");
        self.respect_dnt && (asks("dnt") || asks("sec-gpc"))
    }
}

/// The part of a visitor's address that is stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum IpStorage {
    /// Nothing.
    #[default]
    None,
    /// The first 24 bits of an IPv4 address or the first 48 bits of an IPv6 address; the rest is
    /// zero.
    Truncated,
    /// The whole address.
    Full,
}

impl IpStorage {
    /// Returns the part of `ip` that is stored.
    #[must_use]
    pub fn stored_ip(self, ip: IpAddr) -> Option<IpAddr> {
        match (self, ip) {
            (Self::None, _) => None,
            (Self::Full, ip) => Some(ip),
            (Self::Truncated, IpAddr::V4(ip)) => {
                Some(Ipv4Addr::from_bits(ip.to_bits() & (!0 << 8)).into())
            }
            (Self::Truncated, IpAddr::V6(ip)) => {
                Some(Ipv6Addr::from_bits(ip.to_bits() & (!0 << 80)).into())
            }
        }
    }
}

/// How long visits are kept. The default is forever.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RetentionPeriod(Option<TimeDelta>);

impl RetentionPeriod {
    /// Creates a period of a number of days. `None` means forever.
    #[must_use]
    pub fn from_days(days: Option<u32>) -> Self {
        Self(days.map(|days| TimeDelta::days(days.into())))
    }

    /// Returns the number of days. `None` means forever.
    #[must_use]
    pub fn as_days(self) -> Option<i64> {
        self.0.map(|length| length.num_days())
    }

    /// Returns the earliest time of a visit that is accepted at `now`.
    #[must_use]
    pub fn earliest_accepted(self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        now.checked_sub_signed(self.0?)
    }

    /// Returns the first day of the first month that is kept at `now`. Everything before is
    /// deleted. The day is at least [`SESSION_TIMEOUT`] before the earliest time of an accepted
    /// visit, so that no accepted visit belongs to a deleted session.
    #[must_use]
    pub fn first_kept_day(self, now: DateTime<Utc>) -> Option<NaiveDate> {
        let day = self
            .earliest_accepted(now)?
            .checked_sub_signed(SESSION_TIMEOUT)?
            .date_naive();
        day.with_day(1)
    }

    /// Returns the time from which on everything before `border` is deleted.
    #[must_use]
    pub fn deletion_time(self, border: NaiveDate) -> Option<DateTime<Utc>> {
        let midnight = border.and_time(chrono::NaiveTime::MIN).and_utc();
        midnight.checked_add_signed(self.0? + SESSION_TIMEOUT)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_kept_as_far_as_it_may_be() {
        let kept =
            |how: IpStorage, ip: &str| how.stored_ip(ip.parse().unwrap()).map(|ip| ip.to_string());
        let (v4, v6) = ("81.2.69.142", "2a02:6b8:abcd:ef01::7");
        assert_eq!(kept(IpStorage::None, v4), None);
        assert_eq!(kept(IpStorage::Truncated, v4).as_deref(), Some("81.2.69.0"));
        assert_eq!(
            kept(IpStorage::Truncated, v6).as_deref(),
            Some("2a02:6b8:abcd::")
        );
        assert_eq!(kept(IpStorage::Full, v6).as_deref(), Some(v6));
    }

    #[test]
    fn only_who_asks_is_left_alone_and_only_where_it_counts() {
        let asked = |respect_dnt, name, value| {
            let policy = PrivacyPolicy {
                respect_dnt,
                ..PrivacyPolicy::default()
            };
            policy.has_opted_out(Some(&RequestHeaders::from([(name, value)])))
        };
        assert!(asked(true, "DNT", "1"));
        assert!(asked(true, "Sec-GPC", "1"));
        assert!(!asked(true, "DNT", "0"));
        assert!(!asked(true, "X-DNT", "1"));
        assert!(!asked(false, "DNT", "1"));
        let policy = PrivacyPolicy {
            respect_dnt: true,
            ..PrivacyPolicy::default()
        };
        assert!(!policy.has_opted_out(None));
    }

    #[test]
    fn a_month_goes_when_all_of_it_is_old() {
        let retention = RetentionPeriod::from_days(Some(30));
        let border = |now: &str| {
            retention
                .first_kept_day(now.parse().unwrap())
                .unwrap()
                .to_string()
        };
        assert_eq!(border("2026-03-31T00:29:59Z"), "2026-02-01");
        assert_eq!(border("2026-03-31T00:30:00Z"), "2026-03-01");
        let march = NaiveDate::from_ymd_opt(2026, 3, 1).unwrap();
        let reached = retention.deletion_time(march).unwrap();
        assert_eq!(reached.to_rfc3339(), "2026-03-31T00:30:00+00:00");
        assert_eq!(RetentionPeriod::default().first_kept_day(reached), None);
        // A period beyond the range of the calendar never ends.
        let long = RetentionPeriod::from_days(Some(u32::MAX));
        assert_eq!(long.first_kept_day(reached), None);
    }
}
