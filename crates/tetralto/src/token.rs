//! `tetralto token`: a token for a client.

use std::io::Write as _;
use std::process::ExitCode;

use anyhow::Context as _;
use common::clock::Clock;
use common::jwt::{Claims, Keyring, Scope};

use crate::cli::{SystemArgs, TokenArgs};
use crate::system::keys;

const SECONDS_PER_DAY: i64 = 86_400;

/// Prints a token, and nothing else. It is signed with `JWT_SECRETS` or `JWT_PRIVATE_KEY` where
/// they are set, else with the key that the all-in-one system keeps in its folder.
pub fn print(system: &SystemArgs, wanted: &TokenArgs) -> anyhow::Result<ExitCode> {
    let keys = keys::own_or_given(system)?.ring()?;
    let token = make(&keys, &wanted.sub, &wanted.scope, &wanted.site, wanted.days)?;
    writeln!(std::io::stdout(), "{token}")?;
    Ok(ExitCode::SUCCESS)
}

/// A token for `sub`, from now for so many days, about these sites or about all.
pub fn make(
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
    let claims = claims.limited_to(sites);
    keys.sign(&claims)
        .context("no key to sign with: set JWT_SECRETS or JWT_PRIVATE_KEY")
}
