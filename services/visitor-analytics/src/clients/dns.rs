//! The DNS, which is asked whether an address is a crawler's (forward-confirmed reverse DNS).

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use anyhow::Context as _;
use bot_detection::is_within;
use hickory_resolver::config::{NameServerConfig, ResolveHosts, ResolverConfig};
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::{Name, RData, RecordType};
use hickory_resolver::{ResolverBuilder, TokioResolver};

/// One question is sent again after this time, once.
const QUERY_TIMEOUT: Duration = Duration::from_secs(2);
/// All questions about an address together.
const VERIFICATION_TIMEOUT: Duration = Duration::from_secs(8);
/// Names of one address that are looked at.
const MAX_PTR_NAMES: usize = 4;
/// Answers that the resolver itself keeps.
const RESOLVER_CACHE_ENTRIES: u64 = 256;

/// Asks name servers.
#[derive(Clone)]
pub struct DnsVerifier {
    resolver: TokioResolver,
}

/// What is known about an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DnsVerification {
    /// Whether its name is within the crawler's domains, and leads back to it.
    pub is_crawlers: bool,
    /// How many seconds the records may be kept; `None` where there are none.
    pub ttl: Option<u32>,
}

/// Records that there are, or are not, and how long they may be kept.
struct DnsRecords {
    data: Vec<RData>,
    ttl: Option<u32>,
}

impl DnsVerifier {
    /// Asks this server, or those of the system (`/etc/resolv.conf`).
    pub fn new(server: Option<SocketAddr>) -> anyhow::Result<Self> {
        let builder = match server {
            Some(server) => asking(server),
            None => TokioResolver::builder_tokio().context("the system's name servers")?,
        };
        let mut builder = builder;
        let options = builder.options_mut();
        options.timeout = QUERY_TIMEOUT;
        options.attempts = 1;
        options.cache_size = RESOLVER_CACHE_ENTRIES;
        options.use_hosts_file = ResolveHosts::Never;
        let resolver = builder.build().context("the DNS resolver")?;
        Ok(Self { resolver })
    }

    /// Whether an address is that of a host within `domains`. `None` when the DNS did not say: a
    /// failure, or no answer in time, is no evidence.
    pub async fn confirm(&self, ip: IpAddr, domains: &[&str]) -> Option<DnsVerification> {
        let asked = self.ask(ip.to_canonical(), domains);
        tokio::time::timeout(VERIFICATION_TIMEOUT, asked)
            .await
            .ok()?
    }

    async fn ask(&self, ip: IpAddr, domains: &[&str]) -> Option<DnsVerification> {
        let pointers = self.records(Name::from(ip), RecordType::PTR).await?;
        let names = pointers.data.into_iter().filter_map(|data| match data {
            RData::PTR(name) => Some(name.0),
            _ => None,
        });
        let own = names.filter(|name| is_within(&name.to_ascii(), domains));
        let kind = match ip {
            IpAddr::V4(_) => RecordType::A,
            IpAddr::V6(_) => RecordType::AAAA,
        };
        for name in own.take(MAX_PTR_NAMES) {
            let addresses = self.records(name, kind).await?;
            let leads_back = |data: &RData| data.ip_addr() == Some(ip);
            if addresses.data.iter().any(leads_back) {
                return Some(DnsVerification {
                    is_crawlers: true,
                    ttl: pointers.ttl.min(addresses.ttl),
                });
            }
        }
        Some(DnsVerification {
            is_crawlers: false,
            ttl: pointers.ttl,
        })
    }

    /// None of them where the DNS says that there are none.
    async fn records(&self, mut name: Name, kind: RecordType) -> Option<DnsRecords> {
        name.set_fqdn(true);
        match self.resolver.lookup(name, kind).await {
            Ok(found) => Some(DnsRecords {
                data: found.answers().iter().map(|r| r.data.clone()).collect(),
                ttl: found.answers().iter().map(|record| record.ttl).min(),
            }),
            Err(error) if is_denial(&error) => Some(DnsRecords {
                data: vec![],
                ttl: None,
            }),
            Err(_) => None,
        }
    }
}

/// The name does not exist, or has no such records (RFC 2308).
fn is_denial(error: &NetError) -> bool {
    error.is_no_records_found()
}

fn asking(server: SocketAddr) -> ResolverBuilder<TokioRuntimeProvider> {
    let mut one = NameServerConfig::udp_and_tcp(server.ip());
    for connection in &mut one.connections {
        connection.port = server.port();
    }
    let mut config = ResolverConfig::default();
    config.name_servers = vec![one];
    TokioResolver::builder_with_config(config, TokioRuntimeProvider::default())
}
