//! Public keys from an issuer's key set, kept fresh.

use std::time::Duration;

use common::jwt::TokenVerifier;
use jsonwebtoken::jwk::JwkSet;
use tokio_util::sync::CancellationToken;
use url::Url;

use crate::panics::catch_panics;
use crate::problem::chain;

const REFRESH_INTERVAL: Duration = Duration::from_mins(5);
const RETRY_INTERVAL: Duration = Duration::from_secs(5);

/// Fetches the key set at `url` now and every five minutes until `shutdown`; what was fetched
/// last stays trusted while the issuer is away.
pub async fn keep_fresh(
    url: Url,
    verifier: TokenVerifier,
    http: reqwest::Client,
    shutdown: CancellationToken,
) {
    loop {
        let wait = match catch_panics(renew(&url, &verifier, &http)).await {
            Ok(Ok(keys)) => {
                tracing::info!(keys, "key set fetched");
                REFRESH_INTERVAL
            }
            Ok(Err(error)) => {
                let error = chain(&error.without_url());
                tracing::warn!(error, "key set not fetched");
                RETRY_INTERVAL
            }
            Err(panic) => {
                tracing::error!(%panic, "key set not fetched");
                RETRY_INTERVAL
            }
        };
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = shutdown.cancelled() => return,
        }
    }
}

/// How many keys there are now.
async fn renew(
    url: &Url,
    verifier: &TokenVerifier,
    http: &reqwest::Client,
) -> Result<usize, reqwest::Error> {
    let set = fetch(url, http).await?;
    let keys = verifier.keys().set_public_keys(&set);
    // A key that was withdrawn must not live on in what was verified with it.
    verifier.forget();
    Ok(keys)
}

async fn fetch(url: &Url, http: &reqwest::Client) -> Result<JwkSet, reqwest::Error> {
    let response = http.get(url.clone()).send().await?;
    response.error_for_status()?.json().await
}
