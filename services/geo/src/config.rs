//! The only reader of the environment.

use std::path::PathBuf;

use chassis::settings::{ServiceArgs, secret};
use secrecy::SecretString;
use url::{Host, Url};

use crate::clients::maxmind::Settings;

/// Where an address is: the geo service.
#[derive(Clone, Debug, clap::Parser)]
#[command(name = "geo", version)]
pub struct Config {
    #[command(flatten)]
    #[expect(
        missing_docs,
        reason = "its text would become the program's description"
    )]
    pub service: ServiceArgs,
    /// Databases in MaxMind's format (.mmdb): files, or folders that hold them, parted by commas.
    /// The first that knows something wins.
    #[arg(long, env = "GEOIP_DATABASES", value_delimiter = ',')]
    pub geoip_databases: Vec<PathBuf>,
    #[command(flatten)]
    #[expect(
        missing_docs,
        reason = "its text would become the program's description"
    )]
    pub maxmind: MaxMindArgs,
}

/// The account at MaxMind whose web service is asked for what no local database knows.
#[derive(Clone, Debug, clap::Args)]
pub struct MaxMindArgs {
    /// The number of an account at MaxMind. With its key, MaxMind's web service is asked for
    /// addresses whose city no local database knows.
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
        let has_cities = !self.geoip_databases.is_empty() || self.maxmind.settings().is_some();
        let embedded = "places: countries only; for cities set MAXMIND_ACCOUNT_ID and \
                        MAXMIND_API_KEY (README: MaxMind)";
        Vec::from_iter((!has_cities).then(|| embedded.into()))
    }
}

impl MaxMindArgs {
    /// The account, where there is one.
    #[must_use]
    pub fn settings(&self) -> Option<Settings> {
        Some(Settings {
            account_id: self.maxmind_account_id?,
            api_key: self.maxmind_api_key.clone()?,
            host: self.maxmind_host.clone(),
            daily_lookups: self.maxmind_daily_lookups,
        })
    }
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
    use super::host;

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
