//! The only reader of the environment.

use std::path::PathBuf;

use chassis::settings::ServiceArgs;

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
}

impl Config {
    /// What is a stand-in for something better, for people.
    #[must_use]
    pub fn stand_ins(&self) -> Vec<String> {
        let embedded = "places: countries only, from the embedded database; \
                        for cities set GEOIP_DATABASES (README: MaxMind)";
        Vec::from_iter(self.geoip_databases.is_empty().then(|| embedded.into()))
    }
}
