//! Builds all HTTP clients.

use std::time::Duration;

/// Builds a client with timeouts and a connection pool.
///
/// The client does not follow redirects: no service or provider sends one, and a redirect could
/// leak credentials to another host.
#[expect(
    clippy::disallowed_methods,
    reason = "all other code builds clients with this function"
)]
pub fn build(user_agent: &'static str) -> Result<reqwest::Client, reqwest::Error> {
    reqwest::Client::builder()
        .user_agent(user_agent)
        .connect_timeout(Duration::from_secs(2))
        .timeout(Duration::from_secs(10))
        .pool_idle_timeout(Duration::from_secs(20))
        .redirect(reqwest::redirect::Policy::none())
        .build()
}
