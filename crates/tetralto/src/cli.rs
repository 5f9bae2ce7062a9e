//! Command-line arguments of `tetralto`.

use std::ffi::OsString;
use std::io::Write as _;
use std::path::PathBuf;

use chassis::settings::{KeyArgs, secret};
use common::jwt::Scope;
use secrecy::SecretString;

/// TetraltoRail: web analytics with bot detection, geolocation and notifications. Without a
/// command, starts PostgreSQL and all services in one process.
///
/// The services also read their own environment variables; `geo --help`,
/// `visitor-analytics --help` and `notification --help` list them.
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
    /// Create a token for a client and print it.
    Token(TokenArgs),
    /// Run a command with a temporary PostgreSQL database in `DATABASE_URL`.
    Postgres {
        /// Flush each commit to disk, as in production. Meant for benchmarks.
        #[arg(long)]
        durable: bool,
        /// The command and its arguments, after `--`.
        #[arg(required = true, last = true)]
        command: Vec<OsString>,
    },
}

#[derive(Clone, Debug, clap::Args)]
pub struct SystemArgs {
    /// Folder of the private database, the signing key and the token.
    #[arg(long, env = "TETRALTO_DATA_DIR", default_value = "./.tetralto")]
    pub data_dir: PathBuf,
    /// URL of a PostgreSQL database. Without it, a private PostgreSQL is started.
    #[arg(long, env = "DATABASE_URL", hide_env_values = true, value_parser = secret)]
    pub database_url: Option<SecretString>,
    /// Port of geo; 0 picks a free port.
    #[arg(long, env = "GEO_PORT", default_value_t = 8001)]
    pub geo_port: u16,
    /// Port of visitor-analytics; 0 picks a free port.
    #[arg(long, env = "VISITOR_ANALYTICS_PORT", default_value_t = 8002)]
    pub visitor_analytics_port: u16,
    /// Port of notification; 0 picks a free port.
    #[arg(long, env = "NOTIFICATION_PORT", default_value_t = 8003)]
    pub notification_port: u16,
    #[command(flatten)]
    pub keys: KeyArgs,
}

#[derive(Debug, clap::Args)]
pub struct TokenArgs {
    /// Subject of the token (claim `sub`), such as `django`.
    #[arg(long)]
    pub sub: String,
    /// Scope that the token grants; repeat the option for further scopes.
    #[arg(long, required = true, value_parser = scope)]
    pub scope: Vec<Scope>,
    /// Domain of a site to which the token is restricted; repeat the option for further sites.
    /// Without it, the token is valid for all sites.
    #[arg(long, value_parser = site)]
    pub site: Vec<String>,
    /// Days until the token expires, 1 to 3650.
    #[arg(long, default_value_t = 365, value_parser = clap::value_parser!(i64).range(1..=3_650))]
    pub days: i64,
}

/// Normalizes a domain like the site of a visit.
fn site(name: &str) -> Result<String, url::ParseError> {
    let name = name.trim().trim_end_matches('.');
    url::Host::parse(name).map(|host| host.to_string())
}

fn scope(name: &str) -> Result<Scope, common::jwt::UnknownScope> {
    name.parse()
}

/// Prints the error and its causes in one line.
pub fn print_error(error: &anyhow::Error) {
    // If standard error is closed, only the exit code reports the failure.
    let _ = writeln!(std::io::stderr(), "tetralto: {error:#}");
}
