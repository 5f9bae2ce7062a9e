//! The settings, from flags and environment variables. No other module reads the environment.

use std::path::PathBuf;

use chassis::database::OptionalDatabaseArgs;
use chassis::settings::{ServiceArgs, secret};
use secrecy::SecretString;
use url::{Host, Url};

use crate::clients::maxmind::WebServiceSettings;
use crate::clients::updates::Publisher;
use crate::domain::areas::GeoPoint;

// Flattened groups have no doc comment: clap would print it as the description of the program.
/// Geolocation service: locates IP addresses and checks them against service areas.
#[derive(Clone, Debug, clap::Parser)]
#[command(name = "geo", version)]
pub struct Config {
    #[command(subcommand)]
    pub command: Option<Command>,
    #[command(flatten)]
    pub service: ServiceArgs,
    #[command(flatten)]
    pub database: OptionalDatabaseArgs,
    /// Location of the business as `latitude,longitude` in degrees. If set, locations include the
    /// distance to it (`distance_km`).
    #[arg(long, env = "BUSINESS_LOCATION", value_parser = parse_point, allow_hyphen_values = true)]
    pub business_location: Option<GeoPoint>,
    /// Local databases in MaxMind's format (.mmdb): files or directories, separated by commas.
    /// For each field of a location the first database with a value is used.
    #[arg(long, env = "GEOIP_DATABASES", value_delimiter = ',')]
    pub geoip_databases: Vec<PathBuf>,
    #[command(flatten)]
    pub updates: UpdateArgs,
    #[command(flatten)]
    pub maxmind: MaxMindArgs,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::Subcommand)]
pub enum Command {
    /// Serve requests (default).
    #[default]
    Serve,
    /// Migrate the database schema to this version, then exit.
    Migrate,
}

/// Settings for downloaded databases.
#[derive(Clone, Debug, clap::Args)]
pub struct UpdateArgs {
    /// Download databases and keep them up to date: from MaxMind if an account is set, otherwise
    /// the free City Lite database of DB-IP. If this is not set, the DB-IP database is downloaded
    /// only if `GEOIP_DATABASES` is empty.
    #[arg(long, env = "GEOIP_UPDATE")]
    pub geoip_update: Option<Switch>,
    /// MaxMind databases to download (edition IDs), separated by commas.
    #[arg(long, env = "GEOIP_EDITIONS", value_delimiter = ',', value_parser = parse_edition, default_value = "GeoLite2-City,GeoLite2-ASN")]
    pub geoip_editions: Vec<String>,
    /// URL of MaxMind's update service.
    #[arg(long, env = "MAXMIND_UPDATE_HOST", default_value = "https://updates.maxmind.com", value_parser = parse_host)]
    pub maxmind_update_host: Url,
    /// URL of DB-IP's download server.
    #[arg(long, env = "DBIP_HOST", default_value = "https://download.db-ip.com", value_parser = parse_host)]
    pub dbip_host: Url,
    /// Directory for downloaded databases. Default: .tetralto/geoip.
    #[arg(long, env = "GEOIP_DATA_DIR")]
    pub geoip_data_dir: Option<PathBuf>,
    /// Back up downloaded databases to PostgreSQL if `DATABASE_URL` is set, so that they survive
    /// the loss of the disk and replicas download each release only once. Default: on.
    #[arg(long, env = "GEOIP_KEEP_IN_POSTGRES")]
    pub geoip_keep_in_postgres: Option<Switch>,
    /// Interval between checks for changed database files, in milliseconds.
    #[arg(long, hide = true, default_value_t = 2_000)]
    pub geoip_watch_interval: u64,
}

impl UpdateArgs {
    #[must_use]
    pub fn data_dir(&self) -> PathBuf {
        let set = self.geoip_data_dir.clone();
        set.unwrap_or_else(|| ".tetralto/geoip".into())
    }

    #[must_use]
    pub fn has_postgres_backups(&self) -> bool {
        self.geoip_keep_in_postgres != Some(Switch::Off)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Switch {
    On,
    Off,
}

/// Settings for MaxMind's web service, which locates addresses that no local database locates.
#[derive(Clone, Debug, clap::Args)]
pub struct MaxMindArgs {
    /// ID of a MaxMind account. With `MAXMIND_API_KEY`, MaxMind's databases are downloaded, and its
    /// web service is queried for addresses whose city and coordinates no local database has.
    #[arg(long, env = "MAXMIND_ACCOUNT_ID", requires = "maxmind_api_key")]
    pub maxmind_account_id: Option<u32>,
    /// License key of the MaxMind account.
    #[arg(long, env = "MAXMIND_API_KEY", hide_env_values = true, value_parser = secret, requires = "maxmind_account_id")]
    pub maxmind_api_key: Option<SecretString>,
    /// Host of MaxMind's web service: geolite.info for free accounts, geoip.maxmind.com for paid
    /// accounts, sandbox.maxmind.com for tests. HTTPS is required except for loopback addresses.
    #[arg(long, env = "MAXMIND_HOST", default_value = "https://geolite.info", value_parser = parse_host)]
    pub maxmind_host: Url,
    /// Maximum number of web service lookups per day (UTC) and process. Free accounts have 1000.
    #[arg(long, env = "MAXMIND_DAILY_LOOKUPS", default_value_t = 1_000)]
    pub maxmind_daily_lookups: u32,
}

impl Config {
    /// Describes the stand-ins that are in use, and how to replace them.
    #[must_use]
    pub fn stand_ins(&self) -> Vec<String> {
        let line = match self.publisher() {
            Some(Publisher::DbIp { .. }) => {
                "locations: countries, and cities after DB-IP's free database has been \
                 downloaded (https://db-ip.com, CC BY 4.0); for better data set \
                 MAXMIND_ACCOUNT_ID and MAXMIND_API_KEY (README: MaxMind)"
            }
            None if self.geoip_databases.is_empty()
                && self.maxmind.web_service_settings().is_none() =>
            {
                "locations: countries only; for cities set MAXMIND_ACCOUNT_ID and \
                 MAXMIND_API_KEY (README: MaxMind)"
            }
            _ => return vec![],
        };
        vec![line.into()]
    }

    /// The publisher to download databases from; `None` if downloads are off.
    #[must_use]
    pub fn publisher(&self) -> Option<Publisher> {
        let updates = &self.updates;
        if updates.geoip_update == Some(Switch::Off) {
            return None;
        }
        if let Some(account) = self.maxmind.web_service_settings() {
            return Some(Publisher::MaxMind {
                host: updates.maxmind_update_host.clone(),
                account_id: account.account_id,
                api_key: account.api_key,
                editions: updates.geoip_editions.clone(),
            });
        }
        let is_wanted = updates.geoip_update.is_some() || self.geoip_databases.is_empty();
        is_wanted.then(|| Publisher::DbIp {
            host: updates.dbip_host.clone(),
        })
    }
}

impl MaxMindArgs {
    /// `None` if no account is set.
    #[must_use]
    pub fn web_service_settings(&self) -> Option<WebServiceSettings> {
        Some(WebServiceSettings {
            account_id: self.maxmind_account_id?,
            api_key: self.maxmind_api_key.clone()?,
            host: self.maxmind_host.clone(),
            daily_lookups: self.maxmind_daily_lookups,
        })
    }
}

/// Parses `51.5074,-0.1278`.
fn parse_point(text: &str) -> Result<GeoPoint, String> {
    let degrees = text.split_once(',').and_then(|(latitude, longitude)| {
        let latitude = latitude.trim().parse().ok()?;
        Some((latitude, longitude.trim().parse().ok()?))
    });
    let (latitude, longitude) =
        degrees.ok_or("expected latitude and longitude in degrees, such as 51.5074,-0.1278")?;
    GeoPoint::new(latitude, longitude).map_err(|error| error.to_string())
}

/// Parses the edition ID of a MaxMind database. It becomes part of file and URL paths, so that
/// only letters, digits and hyphens are allowed.
fn parse_edition(text: &str) -> Result<String, String> {
    let text = text.trim();
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    if text.is_empty() || !text.bytes().all(is_plain) {
        return Err("expected edition IDs such as GeoLite2-City".into());
    }
    Ok(text.to_owned())
}

/// Parses a host name or address, with or without scheme and port. HTTP is allowed for loopback
/// addresses only, because requests carry the account's key.
fn parse_host(text: &str) -> Result<Url, String> {
    let text = text.trim();
    let url = if text.contains("://") {
        Url::parse(text)
    } else {
        Url::parse(&format!("https://{text}"))
    };
    let url = url.map_err(|error| error.to_string())?;
    let bare = url.origin().ascii_serialization();
    if url.as_str().trim_end_matches('/') != bare {
        return Err(format!(
            "expected a host without path and credentials: {bare}"
        ));
    }
    let is_loopback = match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        None => false,
    };
    match url.scheme() {
        "https" => Ok(url),
        "http" if is_loopback => Ok(url),
        _ => Err("HTTPS is required, because the license key is sent to this host".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::{parse_host, parse_point};

    #[test]
    fn a_host_is_read_with_and_without_its_scheme() {
        for (text, url) in [
            ("geolite.info", "https://geolite.info/"),
            (" geoip.maxmind.com ", "https://geoip.maxmind.com/"),
            ("https://geolite.info/", "https://geolite.info/"),
            ("geolite.info:8443", "https://geolite.info:8443/"),
            ("http://127.0.0.1:8080", "http://127.0.0.1:8080/"),
            ("http://[::1]:8080/", "http://[::1]:8080/"),
            ("http://localhost", "http://localhost/"),
        ] {
            assert_eq!(
                parse_host(text).map(String::from),
                Ok(url.to_owned()),
                "{text}"
            );
        }
    }

    #[test]
    fn a_place_is_two_numbers_on_the_globe() {
        let read = |text| parse_point(text).map(|point| (point.latitude(), point.longitude()));
        assert_eq!(read("51.5, -0.1"), Ok((51.5, -0.1)));
        for wrong in ["", "51.5", "51.5;-0.1", "91,0", "0,181", "1,2,3", "NaN,0"] {
            assert!(parse_point(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_would_leak_or_mislead_is_refused() {
        for text in [
            "http://geolite.info",
            "ftp://127.0.0.1",
            "file:///etc/hosts",
            "https://user:secret@geolite.info",
            "https://geolite.info/geoip/v2.1",
            "https://geolite.info?key=1",
            "",
        ] {
            let error = parse_host(text).unwrap_err();
            assert!(!error.contains("secret@"), "{text}: {error}");
        }
    }
}
