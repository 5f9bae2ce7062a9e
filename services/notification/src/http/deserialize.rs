//! Functions for `deserialize_with`, which check single fields of requests.

use std::ops::RangeInclusive;

use chrono::{DateTime, Datelike as _, Utc};
use serde::{Deserialize as _, Deserializer};

use crate::domain::channel_address::DeliveryChannel;

/// The accepted years. Sums with windows of months stay far from the limits of the types.
const ALLOWED_YEARS: RangeInclusive<i32> = 1970..=2200;

/// The name of a channel.
pub(super) fn channel<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<String>, D::Error> {
    let name = Option::<String>::deserialize(deserializer)?;
    let known = name
        .as_ref()
        .is_none_or(|name| DeliveryChannel::from_name(name).is_some());
    let unknown = || {
        serde::de::Error::custom(
            "unknown channel; the channels are sms, email, push, webhook, slack, discord, \
             telegram, ntfy, fcm and log",
        )
    };
    known.then_some(name).ok_or_else(unknown)
}

/// A timestamp in the allowed years.
pub(super) fn timestamp<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<DateTime<Utc>>, D::Error> {
    let moment = Option::<DateTime<Utc>>::deserialize(deserializer)?;
    let known = moment.is_none_or(|moment| ALLOWED_YEARS.contains(&moment.year()));
    let unknown =
        || serde::de::Error::custom("a timestamp must be between the years 1970 and 2200");
    known.then_some(moment).ok_or_else(unknown)
}
