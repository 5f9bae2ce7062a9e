//! What `geo` answers.

use chrono::{DateTime, FixedOffset, SecondsFormat};
use serde::{Deserialize, Serialize, Serializer};
use utoipa::ToSchema;

/// The most addresses that one `POST /geolocate` may ask for.
pub const MAX_ADDRESSES_PER_REQUEST: usize = 1_000;

/// Where an address is, as far as it is known.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(example = json!({
    "ip": "81.2.69.142", "network": "81.2.69.142/31", "continent_code": "EU",
    "country_code": "GB", "country": "United Kingdom", "is_in_european_union": false,
    "region_code": "ENG", "region": "England", "city": "London", "postal_code": null,
    "latitude": 51.5142, "longitude": -0.0931, "accuracy_radius_km": 10,
    "time_zone": "Europe/London", "local_time": "2026-11-20T12:00:00Z",
    "distance_km": 342.9, "asn": 20712, "as_organization": "Andrews & Arnold Ltd",
    "is_anonymous": null, "is_hosting_provider": null, "isp": null, "organization": null,
    "domain": null, "connection_type": null, "user_type": null, "is_anonymous_vpn": null,
    "is_public_proxy": null, "is_residential_proxy": null, "is_tor_exit_node": null,
    "anonymizer_confidence": null, "anonymizer_provider": null, "anonymizer_last_seen": null,
    "sources": [{"provider": "mmdb", "database": "GeoIP2-City", "build_date": "2026-11-17"}]
}))]
pub struct Location {
    /// The address asked for.
    pub ip: String,
    /// The network (CIDR) the answer holds for.
    pub network: Option<String>,
    /// Continent, two letters.
    pub continent_code: Option<String>,
    /// Country, ISO 3166-1 alpha-2.
    pub country_code: Option<String>,
    /// Country, in English or the language asked for.
    pub country: Option<String>,
    /// Whether the country is a member of the European Union.
    pub is_in_european_union: Option<bool>,
    /// Region, ISO 3166-2 without the country.
    pub region_code: Option<String>,
    /// Region, in English or the language asked for.
    pub region: Option<String>,
    /// City, in English or the language asked for.
    pub city: Option<String>,
    /// Postal code.
    pub postal_code: Option<String>,
    /// Degrees north.
    pub latitude: Option<f64>,
    /// Degrees east.
    pub longitude: Option<f64>,
    /// The true place lies within this many kilometres.
    pub accuracy_radius_km: Option<u16>,
    /// IANA time zone.
    pub time_zone: Option<String>,
    /// What time it was there when this was answered (RFC 3339).
    #[serde(serialize_with = "rfc3339")]
    pub local_time: Option<DateTime<FixedOffset>>,
    /// Kilometres to the business (`BUSINESS_LOCATION`).
    pub distance_km: Option<f64>,
    /// Number of the autonomous system.
    pub asn: Option<u32>,
    /// Who runs the autonomous system.
    pub as_organization: Option<String>,
    /// Whether the address hides its user (VPN, proxy, Tor).
    pub is_anonymous: Option<bool>,
    /// Whether the address belongs to a hosting provider.
    pub is_hosting_provider: Option<bool>,
    /// Who gives access to the internet there.
    pub isp: Option<String>,
    /// Who uses the address, where that is not the provider.
    pub organization: Option<String>,
    /// The second-level domain that goes with the address.
    pub domain: Option<String>,
    /// MaxMind's word for the kind of line: `Cable/DSL`, `Cellular`, `Corporate`, `Satellite` …
    pub connection_type: Option<String>,
    /// MaxMind's word for the kind of user: `residential`, `business`, `hosting`, `school` …
    pub user_type: Option<String>,
    /// Whether the address is an anonymous VPN's.
    pub is_anonymous_vpn: Option<bool>,
    /// Whether the address is an open proxy's.
    pub is_public_proxy: Option<bool>,
    /// Whether the address is a private line that somebody resells as a proxy.
    pub is_residential_proxy: Option<bool>,
    /// Whether Tor's traffic leaves there.
    pub is_tor_exit_node: Option<bool>,
    /// How sure it is that the network is a VPN's just now, in percent.
    pub anonymizer_confidence: Option<u8>,
    /// Whose VPN it is.
    pub anonymizer_provider: Option<String>,
    /// The day on which the network was last seen to hide its users, `2026-11-17`.
    pub anonymizer_last_seen: Option<String>,
    /// Which databases said so.
    pub sources: Vec<LocationSource>,
}

/// As chrono does it itself, but not letter by letter into the answer.
#[expect(clippy::ref_option, reason = "so serde calls it")]
fn rfc3339<S: Serializer>(
    time: &Option<DateTime<FixedOffset>>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let text = time.map(|time| time.to_rfc3339_opts(SecondsFormat::AutoSi, true));
    text.serialize(serializer)
}

/// Where a piece of a location came from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LocationSource {
    /// The kind of provider: `mmdb`, `maxmind` (its web service) or `embedded`.
    pub provider: String,
    /// The database's own name, or that of the service.
    pub database: String,
    /// The day it was built.
    pub build_date: Option<String>,
}

/// `POST /geolocate`: many addresses at once.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[schema(example = json!({"ips": ["81.2.69.142", "10.0.0.1"]}))]
pub struct GeolocateBatchRequest {
    /// At most [`MAX_ADDRESSES_PER_REQUEST`] addresses.
    #[schema(max_items = 1000)]
    pub ips: Vec<String>,
}

/// The answer to a [`GeolocateBatchRequest`], in the order asked.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct GeolocateBatchResponse {
    /// One result for each address.
    pub results: Vec<GeolocateBatchResult>,
}

/// One address of a batch: a location or an error.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct GeolocateBatchResult {
    /// The address as it was asked for.
    pub ip: String,
    /// Where it is.
    pub location: Option<Location>,
    /// Why that is not known.
    pub error: Option<ItemError>,
}

/// What is wrong with one item of a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ItemError {
    /// A stable code, such as `IP_ADDRESS_RESERVED`.
    pub code: String,
    /// The same for people.
    pub detail: String,
}
