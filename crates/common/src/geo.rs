//! Requests and responses of `geo`.

use chrono::{DateTime, FixedOffset, SecondsFormat};
use serde::{Deserialize, Serialize, Serializer};
use utoipa::ToSchema;

pub const MAX_ADDRESSES_PER_REQUEST: usize = 1_000;

/// Location and network of an IP address. Unknown fields are null.
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
    /// The requested IP address.
    pub ip: String,
    /// Network (CIDR) to which the result applies.
    pub network: Option<String>,
    /// Continent, two letters.
    pub continent_code: Option<String>,
    /// Country, ISO 3166-1 alpha-2.
    pub country_code: Option<String>,
    /// Name of the country in English or the requested language.
    pub country: Option<String>,
    /// Whether the country is a member of the European Union.
    pub is_in_european_union: Option<bool>,
    /// Region, ISO 3166-2 without the country code.
    pub region_code: Option<String>,
    /// Name of the region in English or the requested language.
    pub region: Option<String>,
    /// Name of the city in English or the requested language.
    pub city: Option<String>,
    /// Postal code.
    pub postal_code: Option<String>,
    /// Latitude in degrees, -90 to 90.
    pub latitude: Option<f64>,
    /// Longitude in degrees, -180 to 180.
    pub longitude: Option<f64>,
    /// Maximum distance of the real location from the coordinates, in kilometres.
    pub accuracy_radius_km: Option<u16>,
    /// IANA time zone, such as `Europe/London`.
    pub time_zone: Option<String>,
    /// Local time at the location when the response was created (RFC 3339).
    #[serde(serialize_with = "rfc3339")]
    pub local_time: Option<DateTime<FixedOffset>>,
    /// Distance to the business (setting `BUSINESS_LOCATION`), in kilometres.
    pub distance_km: Option<f64>,
    /// Autonomous system number.
    pub asn: Option<u32>,
    /// Organization of the autonomous system.
    pub as_organization: Option<String>,
    /// Whether the address belongs to an anonymizer (VPN, proxy, Tor).
    pub is_anonymous: Option<bool>,
    /// Whether the address belongs to a hosting provider.
    pub is_hosting_provider: Option<bool>,
    /// Internet service provider.
    pub isp: Option<String>,
    /// Organization that uses the address, if it is not the provider.
    pub organization: Option<String>,
    /// Second-level domain of the address, such as `example.com`.
    pub domain: Option<String>,
    /// Type of connection as in MaxMind's databases: `Cable/DSL`, `Cellular`, `Corporate`,
    /// `Satellite` …
    pub connection_type: Option<String>,
    /// Type of user as in MaxMind's databases: `residential`, `business`, `hosting`, `school` …
    pub user_type: Option<String>,
    /// Whether the address belongs to an anonymous VPN.
    pub is_anonymous_vpn: Option<bool>,
    /// Whether the address belongs to a public proxy.
    pub is_public_proxy: Option<bool>,
    /// Whether the address belongs to a residential proxy network.
    pub is_residential_proxy: Option<bool>,
    /// Whether the address is a Tor exit node.
    pub is_tor_exit_node: Option<bool>,
    /// Confidence that the network currently belongs to a VPN, in percent.
    pub anonymizer_confidence: Option<u8>,
    /// Name of the VPN provider.
    pub anonymizer_provider: Option<String>,
    /// Date on which the network was last seen as an anonymizer, such as `2026-11-17`.
    pub anonymizer_last_seen: Option<String>,
    /// Databases and services that the result is based on.
    pub sources: Vec<LocationSource>,
}

/// Same format as chrono's own serializer, which is slower because it writes character by
/// character.
#[expect(clippy::ref_option, reason = "serde requires this signature")]
fn rfc3339<S: Serializer>(
    time: &Option<DateTime<FixedOffset>>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let text = time.map(|time| time.to_rfc3339_opts(SecondsFormat::AutoSi, true));
    text.serialize(serializer)
}

/// A database or service that contributed to a location.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LocationSource {
    /// Type of provider: `mmdb` (a database file), `maxmind` (MaxMind's web service) or `embedded`.
    pub provider: String,
    /// Name of the database or service, such as `GeoIP2-City`.
    pub database: String,
    /// Date on which the database was built, such as `2026-11-17`.
    pub build_date: Option<String>,
}

/// Request to locate several addresses.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[schema(example = json!({"ips": ["81.2.69.142", "10.0.0.1"]}))]
pub struct GeolocateBatchRequest {
    /// IPv4 and IPv6 addresses, at most 1,000.
    #[schema(max_items = 1000)]
    pub ips: Vec<String>,
}

/// Locations of several addresses.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct GeolocateBatchResponse {
    /// One result for each address, in the order of the request.
    pub results: Vec<GeolocateBatchResult>,
}

/// Result for one address: either a location or an error.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct GeolocateBatchResult {
    /// The address as given in the request.
    pub ip: String,
    /// Location of the address. Null if there is an error.
    pub location: Option<Location>,
    /// Why the address could not be located. Null on success.
    pub error: Option<ItemError>,
}

/// Error of one item of a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ItemError {
    /// Stable error code, such as `IP_ADDRESS_RESERVED`.
    pub code: String,
    /// Explanation for people. The text may change.
    pub detail: String,
}
