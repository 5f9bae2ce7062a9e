//! The only reader of the environment.

use std::path::PathBuf;

use chassis::database::OptionalDatabaseArgs;
use chassis::settings::{ServiceArgs, secret};
use secrecy::SecretString;
use url::{Host, Url};

use crate::clients::maxmind::WebServiceSettings;
use crate::clients::updates::Publisher;
use crate::domain::areas::GeoPoint;

/// Where an address is: the geo service.
#[derive(Clone, Debug, clap::Parser)]
#[command(name = "geo", version)]
pub struct Config {
    #[command(subcommand)]
    pub command: Option<Command>,
    #[command(flatten)]
    pub service: ServiceArgs,
    #[command(flatten)]
    pub database: OptionalDatabaseArgs,
    /// Where the business is, as `latitude,longitude` in degrees; answers then tell how far away
    /// an address is.
    #[arg(long, env = "BUSINESS_LOCATION", value_parser = point, allow_hyphen_values = true)]
    pub business_location: Option<GeoPoint>,
    /// Databases in MaxMind's format (.mmdb): files, or folders that hold them, parted by commas.
    /// The first that knows something wins.
    #[arg(long, env = "GEOIP_DATABASES", value_delimiter = ',')]
    pub geoip_databases: Vec<PathBuf>,
    #[command(flatten)]
    pub updates: UpdateArgs,
    #[command(flatten)]
    pub maxmind: MaxMindArgs,
}

/// What to do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::Subcommand)]
pub enum Command {
    /// Answer requests (the default).
    #[default]
    Serve,
    /// Bring the database's schema to this version, and end.
    Migrate,
}

/// Databases that are downloaded and kept fresh.
#[derive(Clone, Debug, clap::Args)]
pub struct UpdateArgs {
    /// Whether databases are downloaded: MaxMind's where an account is set, else the free one of
    /// DB-IP. Where nothing is said, DB-IP's is left out beside databases of one's own.
    #[arg(long, env = "GEOIP_UPDATE")]
    pub geoip_update: Option<Switch>,
    /// Which of MaxMind's databases are downloaded.
    #[arg(long, env = "GEOIP_EDITIONS", value_delimiter = ',', value_parser = edition, default_value = "GeoLite2-City,GeoLite2-ASN")]
    pub geoip_editions: Vec<String>,
    /// Where MaxMind's downloads are.
    #[arg(long, env = "MAXMIND_UPDATE_HOST", default_value = "https://updates.maxmind.com", value_parser = host)]
    pub maxmind_update_host: Url,
    /// Where DB-IP's downloads are.
    #[arg(long, env = "DBIP_HOST", default_value = "https://download.db-ip.com", value_parser = host)]
    pub dbip_host: Url,
    /// Where downloaded databases are kept: .tetralto/geoip where nothing is said.
    #[arg(long, env = "GEOIP_DATA_DIR")]
    pub geoip_data_dir: Option<PathBuf>,
    /// Whether downloads are kept in PostgreSQL, too, where there is one: for machines whose disk
    /// does not last, and for replicas, which then download once for all of them. On where nothing
    /// is said.
    #[arg(long, env = "GEOIP_KEEP_IN_POSTGRES")]
    pub geoip_keep_in_postgres: Option<Switch>,
    /// How often changed files are looked for, in milliseconds.
    #[arg(long, hide = true, default_value_t = 2_000)]
    pub geoip_watch_interval: u64,
}

impl UpdateArgs {
    /// Where downloaded databases are kept.
    #[must_use]
    pub fn data_dir(&self) -> PathBuf {
        let set = self.geoip_data_dir.clone();
        set.unwrap_or_else(|| ".tetralto/geoip".into())
    }

    /// Whether downloads are kept in PostgreSQL, too, where there is one.
    #[must_use]
    pub fn keeps_in_postgres(&self) -> bool {
        self.geoip_keep_in_postgres != Some(Switch::Off)
    }
}

/// On or off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Switch {
    /// Yes.
    On,
    /// No.
    Off,
}

/// The account at MaxMind whose web service is asked for what no local database knows.
#[derive(Clone, Debug, clap::Args)]
pub struct MaxMindArgs {
    /// The number of an account at MaxMind. With its key, MaxMind's databases are downloaded, and
    /// its web service is asked for addresses whose city no local database knows.
    #[arg(long, env = "MAXMIND_ACCOUNT_ID", requires = "maxmind_api_key")]
    pub maxmind_account_id: Option<u32>,
    /// A licence key of that account.
    #[arg(long, env = "MAXMIND_API_KEY", hide_env_values = true, value_parser = secret, requires = "maxmind_account_id")]
    pub maxmind_api_key: Option<SecretString>,
    /// Where the web service is: geolite.info for free accounts, geoip.maxmind.com for paid ones,
    /// sandbox.maxmind.com for tests. Only HTTPS, but for an address of this machine.
    #[arg(long, env = "MAXMIND_HOST", default_value = "https://geolite.info", value_parser = host)]
    pub maxmind_host: Url,
    /// How many look-ups a day (UTC) each process may ask for; free accounts have 1000.
    #[arg(long, env = "MAXMIND_DAILY_LOOKUPS", default_value_t = 1_000)]
    pub maxmind_daily_lookups: u32,
}

impl Config {
    /// What is a stand-in for something better, for people.
    #[must_use]
    pub fn stand_ins(&self) -> Vec<String> {
        let line = match self.publisher() {
            Some(Publisher::DbIp { .. }) => {
                "places: of countries, and of cities when DB-IP's free database has been \
                 downloaded (https://db-ip.com, CC BY 4.0); for better ones set \
                 MAXMIND_ACCOUNT_ID and MAXMIND_API_KEY (README: MaxMind)"
            }
            None if self.geoip_databases.is_empty() && self.maxmind.settings().is_none() => {
                "places: countries only; for cities set MAXMIND_ACCOUNT_ID and \
                 MAXMIND_API_KEY (README: MaxMind)"
            }
            _ => return vec![],
        };
        vec![line.into()]
    }

    /// Who is asked for databases, if anybody is.
    #[must_use]
    pub fn publisher(&self) -> Option<Publisher> {
        let updates = &self.updates;
        if updates.geoip_update == Some(Switch::Off) {
            return None;
        }
        if let Some(account) = self.maxmind.settings() {
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
    /// The account, where there is one.
    #[must_use]
    pub fn settings(&self) -> Option<WebServiceSettings> {
        Some(WebServiceSettings {
            account_id: self.maxmind_account_id?,
            api_key: self.maxmind_api_key.clone()?,
            host: self.maxmind_host.clone(),
            daily_lookups: self.maxmind_daily_lookups,
        })
    }
}

/// Reads `51.5074,-0.1278`.
fn point(text: &str) -> Result<GeoPoint, String> {
    let degrees = text.split_once(',').and_then(|(latitude, longitude)| {
        let latitude = latitude.trim().parse().ok()?;
        Some((latitude, longitude.trim().parse().ok()?))
    });
    let (latitude, longitude) =
        degrees.ok_or("give latitude and longitude in degrees, as 51.5074,-0.1278")?;
    GeoPoint::new(latitude, longitude).map_err(|error| error.to_string())
}

/// Reads the name of one of MaxMind's databases, which becomes a part of paths.
fn edition(text: &str) -> Result<String, String> {
    let text = text.trim();
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    if text.is_empty() || !text.bytes().all(is_plain) {
        return Err("give names such as GeoLite2-City".into());
    }
    Ok(text.to_owned())
}

/// Reads a host's name or address, with or without a scheme and a port.
fn host(text: &str) -> Result<Url, String> {
    let text = text.trim();
    let url = if text.contains("://") {
        Url::parse(text)
    } else {
        Url::parse(&format!("https://{text}"))
    };
    let url = url.map_err(|error| error.to_string())?;
    let bare = url.origin().ascii_serialization();
    if url.as_str().trim_end_matches('/') != bare {
        return Err(format!("give the host alone: {bare}"));
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
        _ => Err("the key must travel over HTTPS".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::{host, point};

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
            assert_eq!(host(text).map(String::from), Ok(url.to_owned()), "{text}");
        }
    }

    #[test]
    fn a_place_is_two_numbers_on_the_globe() {
        let read = |text| point(text).map(|point| (point.latitude(), point.longitude()));
        assert_eq!(read("51.5, -0.1"), Ok((51.5, -0.1)));
        for wrong in ["", "51.5", "51.5;-0.1", "91,0", "0,181", "1,2,3", "NaN,0"] {
            assert!(point(wrong).is_err(), "{wrong}");
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
            let error = host(text).unwrap_err();
            assert!(!error.contains("secret@"), "{text}: {error}");
        }
    }
}
