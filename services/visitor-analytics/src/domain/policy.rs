//! What the owner has decided about visitors' data.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use chrono::{DateTime, Datelike as _, NaiveDate, TimeDelta, Utc};
use user_agent::RequestHeaders;

use super::session::SESSION_TIMEOUT;
use super::source::QueryParameterAllowlist;
use super::visitor::VisitorIdLifetime;

/// What is kept of a visitor, and for how long.
#[derive(Clone, Debug, Default)]
pub struct PrivacyPolicy {
    /// How long a visitor keeps the same id.
    pub visitor_ids: VisitorIdLifetime,
    /// Whether the address is kept with a visit.
    pub store_ip: IpStorage,
    /// Whether visitors may ask not to be followed.
    pub respect_dnt: bool,
    /// How long visits are kept.
    pub retention: RetentionPeriod,
    /// Which parameters of a page's address are kept.
    pub parameters: QueryParameterAllowlist,
}

impl PrivacyPolicy {
    /// Whether these request headers ask that the visitor is not followed, and it counts: `DNT: 1`
    /// (W3C, Tracking Preference Expression) or `Sec-GPC: 1` (W3C, Global Privacy Control).
    #[must_use]
    pub fn opted_out(&self, headers: Option<&RequestHeaders>) -> bool {
        let asks = |name| headers.and_then(|h| h.get(name)).map(str::trim) == Some("1");
        self.respect_dnt && (asks("dnt") || asks("sec-gpc"))
    }
}

/// What is kept of a visitor's address.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum IpStorage {
    /// Nothing.
    #[default]
    None,
    /// The network: the first 24 bits of an IPv4 address, 48 of an IPv6 one, the rest zero.
    Truncated,
    /// All of it.
    Full,
}

impl IpStorage {
    /// What is kept of `ip`.
    #[must_use]
    pub fn kept(self, ip: IpAddr) -> Option<IpAddr> {
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

/// How long visits are kept; for ever by default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RetentionPeriod(Option<TimeDelta>);

impl RetentionPeriod {
    /// For so many days; `None` means for ever.
    #[must_use]
    pub fn days(days: Option<u32>) -> Self {
        Self(days.map(|days| TimeDelta::days(days.into())))
    }

    /// For how many days; `None` means for ever.
    #[must_use]
    pub fn in_days(self) -> Option<i64> {
        self.0.map(|length| length.num_days())
    }

    /// The earliest moment of a visit that is still taken in at `now`.
    #[must_use]
    pub fn earliest(self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        now.checked_sub_signed(self.0?)
    }

    /// The first day of the first month that is kept at `now`: all that lies before goes. A gap
    /// of sessions is left between it and what is still taken in, so that no visit that comes can
    /// belong to a session that goes.
    #[must_use]
    pub fn border(self, now: DateTime<Utc>) -> Option<NaiveDate> {
        let day = self
            .earliest(now)?
            .checked_sub_signed(SESSION_TIMEOUT)?
            .date_naive();
        day.with_day(1)
    }

    /// The moment from which on [`RetentionPeriod::border`] is `border` or later.
    #[must_use]
    pub fn reached(self, border: NaiveDate) -> Option<DateTime<Utc>> {
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
            |how: IpStorage, ip: &str| how.kept(ip.parse().unwrap()).map(|ip| ip.to_string());
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
            policy.opted_out(Some(&RequestHeaders::from([(name, value)])))
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
        assert!(!policy.opted_out(None));
    }

    #[test]
    fn a_month_goes_when_all_of_it_is_old() {
        let retention = RetentionPeriod::days(Some(30));
        let border = |now: &str| retention.border(now.parse().unwrap()).unwrap().to_string();
        assert_eq!(border("2026-03-31T00:29:59Z"), "2026-02-01");
        assert_eq!(border("2026-03-31T00:30:00Z"), "2026-03-01");
        let march = NaiveDate::from_ymd_opt(2026, 3, 1).unwrap();
        let reached = retention.reached(march).unwrap();
        assert_eq!(reached.to_rfc3339(), "2026-03-31T00:30:00+00:00");
        assert_eq!(RetentionPeriod::default().border(reached), None);
        // Beyond all calendars nothing is too old.
        let long = RetentionPeriod::days(Some(u32::MAX));
        assert_eq!(long.border(reached), None);
    }
}
