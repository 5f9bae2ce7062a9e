//! Fetches the public keys of an issuer (JWKS) periodically.

use std::time::Duration;

use common::jwt::TokenVerifier;
use jsonwebtoken::jwk::JwkSet;
use tokio_util::sync::CancellationToken;
use url::Url;

use crate::panics::catch_panics;
use crate::problem::error_chain;

const REFRESH_INTERVAL: Duration = Duration::from_mins(5);
const RETRY_INTERVAL: Duration = Duration::from_secs(5);

/// Fetches the key set at `url` now and every five minutes until `shutdown`. While the issuer is
/// unavailable, the keys that were fetched last stay trusted.
pub async fn refresh_periodically(
    url: Url,
    verifier: TokenVerifier,
    http: reqwest::Client,
    shutdown: CancellationToken,
) {
    loop {
        let wait = match catch_panics(refresh(&url, &verifier, &http)).await {
            Ok(Ok(keys)) => {
                tracing::info!(keys, "fetched the key set");
                REFRESH_INTERVAL
            }
            Ok(Err(error)) => {
                let error = error_chain(&error.without_url());
                tracing::warn!(error, "cannot fetch the key set; the known keys stay valid");
                RETRY_INTERVAL
            }
            Err(panic) => {
                tracing::error!(%panic, "cannot fetch the key set; the known keys stay valid");
                RETRY_INTERVAL
            }
        };
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = shutdown.cancelled() => return,
        }
    }
}

/// Replaces the public keys and returns their number.
async fn refresh(
    url: &Url,
    verifier: &TokenVerifier,
    http: &reqwest::Client,
) -> Result<usize, reqwest::Error> {
    let set = fetch(url, http).await?;
    let keys = verifier.keys().set_public_keys(&set);
    // Verified tokens are cached; a token of a withdrawn key must not stay valid.
    verifier.clear_cache();
    Ok(keys)
}

async fn fetch(url: &Url, http: &reqwest::Client) -> Result<JwkSet, reqwest::Error> {
    let response = http.get(url.clone()).send().await?;
    response.error_for_status()?.json().await
}
