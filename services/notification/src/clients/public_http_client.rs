//! An HTTP client for URLs from strangers, which connects to the public internet only (protection
//! against SSRF).

use std::error::Error;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use ipnet::IpNet;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::{Client, RequestBuilder, Response};
use url::{Host, Url};

use super::http_result;
use crate::domain::attempt::{SendOutcome, SendResult};
use crate::domain::public_address::is_public_address;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// Connects to the public internet, and to private networks that the settings permit.
#[derive(Clone)]
pub struct PublicHttpClient {
    http: Client,
    policy: Arc<AddressPolicy>,
}

/// Permits public addresses and these private networks.
struct AddressPolicy(Vec<IpNet>);

#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the address is not public")]
struct NonPublicAddress;

impl AddressPolicy {
    fn permits(&self, address: IpAddr) -> bool {
        is_public_address(address) || self.0.iter().any(|net| net.contains(&address))
    }
}

type HostLookup = fn(String) -> BoxFuture<'static, std::io::Result<Vec<SocketAddr>>>;

fn look_up_host(name: String) -> BoxFuture<'static, std::io::Result<Vec<SocketAddr>>> {
    Box::pin(async move { Ok(tokio::net::lookup_host((name, 0)).await?.collect()) })
}

/// Resolves the host name for each connection and discards addresses that are not permitted.
struct PublicResolver(Arc<AddressPolicy>, HostLookup);

impl Resolve for PublicResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let (rule, found) = (self.0.clone(), (self.1)(name.as_str().to_owned()));
        Box::pin(async move {
            let mut found = found.await?;
            found.retain(|at| rule.permits(at.ip()));
            if found.is_empty() {
                return Err(NonPublicAddress.into());
            }
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}

impl PublicHttpClient {
    /// Creates a client that may also connect to these private networks. It uses no proxy, because
    /// a proxy resolves names itself, and follows no redirects.
    #[expect(
        clippy::disallowed_methods,
        reason = "the common client has no address filter; this one has the same limits"
    )]
    pub fn new(private: Vec<IpNet>) -> reqwest::Result<Self> {
        let rule = Arc::new(AddressPolicy(private));
        let http = Client::builder()
            .user_agent("notification")
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(REQUEST_TIMEOUT)
            .pool_max_idle_per_host(2)
            .pool_idle_timeout(Duration::from_secs(20))
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .dns_resolver(PublicResolver(rule.clone(), look_up_host))
            .build()?;
        Ok(Self { http, policy: rule })
    }

    /// Sends a POST request that `fill` completes.
    pub async fn post(
        &self,
        url: &str,
        fill: impl FnOnce(RequestBuilder) -> RequestBuilder,
    ) -> Result<Response, SendResult> {
        let url = Url::parse(url);
        let url =
            url.map_err(|_| SendResult::new(SendOutcome::Permanent, Some("the URL is invalid")))?;
        // The resolver checks host names, but is not called for IP addresses.
        let literal = match url.host() {
            Some(Host::Ipv4(v4)) => Some(IpAddr::V4(v4)),
            Some(Host::Ipv6(v6)) => Some(IpAddr::V6(v6)),
            Some(Host::Domain(_)) | None => None,
        };
        if literal.is_some_and(|address| !self.policy.permits(address)) {
            return Err(non_public_address());
        }
        let sent = fill(self.http.post(url)).send().await;
        sent.map_err(|error| {
            if is_non_public_address(&error) {
                non_public_address()
            } else {
                http_result::transport_error(&error)
            }
        })
    }
}

fn non_public_address() -> SendResult {
    SendResult::new(SendOutcome::Permanent, Some("the address is not public"))
}

fn is_non_public_address(error: &reqwest::Error) -> bool {
    let mut cause: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(error) = cause {
        if error.is::<NonPublicAddress>() {
            return true;
        }
        cause = error.source();
    }
    false
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    /// Resolves to a public address, then to the cloud's metadata address, then to both.
    fn changing(_: String) -> BoxFuture<'static, std::io::Result<Vec<SocketAddr>>> {
        static ASKED: AtomicUsize = AtomicUsize::new(0);
        let public = SocketAddr::from(([93, 184, 215, 14], 0));
        let metadata = SocketAddr::from(([169, 254, 169, 254], 0));
        let found = match ASKED.fetch_add(1, Ordering::Relaxed) {
            0 => vec![public],
            1 => vec![metadata],
            _ => vec![metadata, public],
        };
        Box::pin(std::future::ready(Ok(found)))
    }

    #[tokio::test]
    async fn a_name_that_is_elsewhere_later_is_not_followed_there() {
        let resolver = PublicResolver(Arc::new(AddressPolicy(vec![])), changing);
        let look = || resolver.resolve("hooks.example.com".parse().unwrap());
        let public = [SocketAddr::from(([93, 184, 215, 14], 0))];
        assert_eq!(look().await.unwrap().collect::<Vec<_>>(), public);
        assert!(look().await.err().unwrap().is::<NonPublicAddress>());
        assert_eq!(look().await.unwrap().collect::<Vec<_>>(), public);
    }
}
