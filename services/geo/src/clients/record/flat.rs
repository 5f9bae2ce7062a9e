//! Flat layouts: a single level of fields, as in the DB-IP databases of ip-location-db and in the
//! databases of IPinfo. Numbers and booleans may be texts; a missing value may be an empty text.

use std::fmt;
use std::str::FromStr;

use common::geo::Location;
use serde::de::{Deserialize, Deserializer, Error, Visitor};

use super::merge::{is_same_country, non_empty, set_if_none, set_point_if_none};

/// A record of a flat database. Sources: <https://github.com/sapics/ip-location-db>,
/// <https://ipinfo.io/developers/database-types>.
#[derive(serde::Deserialize)]
pub(in crate::clients) struct FlatRecord<'a> {
    /// The code in older databases of IPinfo, the name in newer ones.
    continent: Option<&'a str>,
    continent_code: Option<&'a str>,
    /// The code in older databases of IPinfo, the name in newer ones.
    country: Option<&'a str>,
    country_code: Option<&'a str>,
    country_name: Option<&'a str>,
    #[serde(alias = "state1")]
    region: Option<&'a str>,
    region_code: Option<&'a str>,
    city: Option<&'a str>,
    #[serde(alias = "postcode", alias = "postal")]
    postal_code: Option<&'a str>,
    #[serde(alias = "lat")]
    latitude: Option<LenientNumber<f64>>,
    #[serde(alias = "lng")]
    longitude: Option<LenientNumber<f64>>,
    #[serde(alias = "radius")]
    accuracy_radius: Option<LenientNumber<u16>>,
    #[serde(alias = "time_zone")]
    timezone: Option<&'a str>,
    asn: Option<LenientNumber<u32>>,
    #[serde(alias = "name")]
    as_name: Option<&'a str>,
    #[serde(alias = "domain")]
    as_domain: Option<&'a str>,
    vpn: Option<LenientNumber<bool>>,
    proxy: Option<LenientNumber<bool>>,
    tor: Option<LenientNumber<bool>>,
    relay: Option<LenientNumber<bool>>,
    hosting: Option<LenientNumber<bool>>,
}

impl FlatRecord<'_> {
    /// Fills the empty fields of `to`.
    pub(in crate::clients) fn fill(&self, to: &mut Location) {
        let code = self.country_code.filter(|code| is_two_letter_code(code));
        let code = code.or(self.country.filter(|text| is_two_letter_code(text)));
        if is_same_country(to.country_code.as_ref(), code) {
            self.fill_place(to, code);
        }
        set_if_none(&mut to.asn, || parsed_value(self.asn));
        set_if_none(&mut to.as_organization, || non_empty(self.as_name.as_ref()));
        set_if_none(&mut to.domain, || non_empty(self.as_domain.as_ref()));
        set_if_none(&mut to.is_anonymous_vpn, || parsed_value(self.vpn));
        set_if_none(&mut to.is_public_proxy, || parsed_value(self.proxy));
        set_if_none(&mut to.is_tor_exit_node, || parsed_value(self.tor));
        set_if_none(&mut to.is_hosting_provider, || parsed_value(self.hosting));
        set_if_none(&mut to.is_anonymous, || {
            let marks = [self.vpn, self.proxy, self.tor, self.relay];
            marks
                .into_iter()
                .filter_map(parsed_value)
                .reduce(|a, b| a || b)
        });
    }

    fn fill_place(&self, to: &mut Location, code: Option<&str>) {
        let continent = self.continent_code.or(self.continent);
        let continent = continent.filter(|text| is_two_letter_code(text));
        set_if_none(&mut to.continent_code, || continent.map(Into::into));
        set_if_none(&mut to.country_code, || code.map(Into::into));
        let name = self.country.filter(|text| !is_two_letter_code(text));
        set_if_none(&mut to.country, || {
            non_empty(self.country_name.or(name).as_ref())
        });
        set_if_none(&mut to.region, || non_empty(self.region.as_ref()));
        set_if_none(&mut to.region_code, || non_empty(self.region_code.as_ref()));
        set_if_none(&mut to.city, || non_empty(self.city.as_ref()));
        set_if_none(&mut to.postal_code, || non_empty(self.postal_code.as_ref()));
        set_point_if_none(
            to,
            parsed_value(self.latitude),
            parsed_value(self.longitude),
        );
        set_if_none(&mut to.accuracy_radius_km, || {
            parsed_value(self.accuracy_radius)
        });
        set_if_none(&mut to.time_zone, || non_empty(self.timezone.as_ref()));
    }
}

/// Two capital letters, as in ISO 3166-1 and the codes of continents.
fn is_two_letter_code(text: &str) -> bool {
    text.len() == 2 && text.bytes().all(|b| b.is_ascii_uppercase())
}

/// A number or boolean that may be written as a text; `None` if the text is empty or invalid.
#[derive(Clone, Copy)]
struct LenientNumber<T>(Option<T>);

fn parsed_value<T>(read: Option<LenientNumber<T>>) -> Option<T> {
    read?.0
}

trait FromNumber: FromStr {
    fn from_number(value: f64) -> Option<Self>;
}

impl FromNumber for f64 {
    fn from_number(value: f64) -> Option<Self> {
        value.is_finite().then_some(value)
    }
}

impl FromNumber for u32 {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the range is checked, and whole numbers of it are exact"
    )]
    fn from_number(value: f64) -> Option<Self> {
        let is_one = value.fract() == 0.0 && (0.0..=f64::from(u32::MAX)).contains(&value);
        is_one.then_some(value as u32)
    }
}

impl FromNumber for u16 {
    fn from_number(value: f64) -> Option<Self> {
        u32::from_number(value.ceil())?.try_into().ok()
    }
}

impl FromNumber for bool {
    fn from_number(value: f64) -> Option<Self> {
        Some(value != 0.0)
    }
}

impl<'de, T: FromNumber> Deserialize<'de> for LenientNumber<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(LenientNumberVisitor(std::marker::PhantomData))
    }
}

struct LenientNumberVisitor<T>(std::marker::PhantomData<T>);

impl<T: FromNumber> Visitor<'_> for LenientNumberVisitor<T> {
    type Value = LenientNumber<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number, a boolean, or a text with one of them")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<LenientNumber<T>, E> {
        // `AS64496`
        let text = text.strip_prefix("AS").unwrap_or(text);
        Ok(LenientNumber(match text.parse() {
            Ok(value) => T::from_number(value),
            Err(_) => text.parse().ok(),
        }))
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<LenientNumber<T>, E> {
        Ok(LenientNumber(T::from_number(f64::from(u8::from(value)))))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<LenientNumber<T>, E> {
        Ok(LenientNumber(T::from_number(value as f64)))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<LenientNumber<T>, E> {
        Ok(LenientNumber(T::from_number(value as f64)))
    }

    fn visit_f32<E: Error>(self, value: f32) -> Result<LenientNumber<T>, E> {
        self.visit_f64(value.into())
    }

    /// Rounds to four decimals (11 metres in degrees), because some databases contain values that
    /// were single precision before, such as `46.92190170288086`.
    fn visit_f64<E: Error>(self, value: f64) -> Result<LenientNumber<T>, E> {
        let value = (value * 10_000.0).round() / 10_000.0;
        Ok(LenientNumber(T::from_number(value)))
    }
}
