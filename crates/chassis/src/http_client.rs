//! The one way to make an HTTP client.

use std::time::Duration;

/// A client with a connection pool and time-outs, for one service. `user_agent` names it.
///
/// No redirects are followed: none of the services and providers called here answers with one,
/// and a redirect would carry credentials elsewhere.
#[expect(clippy::disallowed_methods, reason = "this is the one way")]
pub fn build(user_agent: &'static str) -> Result<reqwest::Client, reqwest::Error> {
    reqwest::Client::builder()
        .user_agent(user_agent)
        .connect_timeout(Duration::from_secs(2))
        .timeout(Duration::from_secs(10))
        .pool_idle_timeout(Duration::from_secs(20))
        .redirect(reqwest::redirect::Policy::none())
        .build()
}
