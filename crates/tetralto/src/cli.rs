//! What can be asked of `tetralto`.

use std::ffi::OsString;
use std::io::Write as _;
use std::path::PathBuf;

use chassis::settings::{KeyArgs, secret};
use common::jwt::Scope;
use secrecy::SecretString;

/// TetraltoRail: who visits your Django site, from where, and a text the moment a real person
/// shows up. Without a command, starts everything.
///
/// Every variable of the services is passed on to them; `geo --help`, `visitor-analytics --help`
/// and `notification --help` list them.
#[derive(Debug, clap::Parser)]
#[command(name = "tetralto", version)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Option<Command>,
    #[command(flatten)]
    pub system: SystemArgs,
}

#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Makes a token for a client and prints it.
    Token(TokenArgs),
    /// Runs a command with a throw-away database in `DATABASE_URL`.
    Postgres {
        /// Wait for the disk at each commit, as in production; for benchmarks.
        #[arg(long)]
        durable: bool,
        /// The command and its arguments, after `--`.
        #[arg(required = true, last = true)]
        command: Vec<OsString>,
    },
}

/// Where the system keeps things and listens.
#[derive(Clone, Debug, clap::Args)]
pub struct SystemArgs {
    /// The folder for the database, the keys and the token.
    #[arg(long, env = "TETRALTO_DATA_DIR", default_value = "./.tetralto")]
    pub data_dir: PathBuf,
    /// A PostgreSQL database to use instead of a private one.
    #[arg(long, env = "DATABASE_URL", hide_env_values = true, value_parser = secret)]
    pub database_url: Option<SecretString>,
    /// The port of geo; 0 takes any that is free.
    #[arg(long, env = "GEO_PORT", default_value_t = 8001)]
    pub geo_port: u16,
    /// The port of visitor-analytics.
    #[arg(long, env = "VISITOR_ANALYTICS_PORT", default_value_t = 8002)]
    pub visitor_analytics_port: u16,
    /// The port of notification.
    #[arg(long, env = "NOTIFICATION_PORT", default_value_t = 8003)]
    pub notification_port: u16,
    #[command(flatten)]
    pub keys: KeyArgs,
}

#[derive(Debug, clap::Args)]
pub struct TokenArgs {
    /// Whom the token is for, such as `django`.
    #[arg(long)]
    pub sub: String,
    /// What it allows; several times for several scopes.
    #[arg(long, required = true, value_parser = scope)]
    pub scope: Vec<Scope>,
    /// The domain of a site that it is about, and about no other; several times for several sites.
    /// Without it the token is about all.
    #[arg(long, value_parser = site)]
    pub site: Vec<String>,
    /// How many days it lives.
    #[arg(long, default_value_t = 365, value_parser = clap::value_parser!(i64).range(1..=3_650))]
    pub days: i64,
}

/// As visits name their sites.
fn site(name: &str) -> Result<String, url::ParseError> {
    let name = name.trim().trim_end_matches('.');
    url::Host::parse(name).map(|host| host.to_string())
}

fn scope(name: &str) -> Result<Scope, common::jwt::UnknownScope> {
    name.parse()
}

/// Says why it ends, in one line.
pub fn complain(error: &anyhow::Error) {
    // Where standard error is closed, the exit code says it.
    let _ = writeln!(std::io::stderr(), "tetralto: {error:#}");
}
