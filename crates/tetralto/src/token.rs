//! `tetralto token`: creates tokens for clients.

use std::io::Write as _;
use std::process::ExitCode;

use anyhow::Context as _;
use common::clock::Clock;
use common::jwt::{Claims, Keyring, Scope};

use crate::cli::{SystemArgs, TokenArgs};
use crate::system::keys;

const SECONDS_PER_DAY: i64 = 86_400;

/// Prints a token and nothing else. The key is `JWT_SECRETS` or `JWT_PRIVATE_KEY` if set, else the
/// generated secret of the data folder.
pub fn print(system: &SystemArgs, wanted: &TokenArgs) -> anyhow::Result<ExitCode> {
    let keys = keys::load_or_generate(system)?.keyring()?;
    let token = sign_token(&keys, &wanted.sub, &wanted.scope, &wanted.site, wanted.days)?;
    writeln!(std::io::stdout(), "{token}")?;
    Ok(ExitCode::SUCCESS)
}

/// Signs a token for `sub` that expires in `days` days. Without `sites`, it is valid for all sites.
pub fn sign_token(
    keys: &Keyring,
    sub: &str,
    scopes: &[Scope],
    sites: &[String],
    days: i64,
) -> anyhow::Result<String> {
    let now = Clock::system().now().timestamp();
    let claims = Claims::new(
        sub,
        scopes.iter().copied().collect(),
        now,
        days * SECONDS_PER_DAY,
    );
    let claims = claims.restricted_to_sites(sites);
    keys.sign(&claims)
        .context("no key to sign with: set JWT_SECRETS or JWT_PRIVATE_KEY")
}
