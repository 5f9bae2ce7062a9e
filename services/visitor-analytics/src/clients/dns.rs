//! Verifies by DNS whether an address belongs to a crawler (forward-confirmed reverse DNS).

use common::embedded_ipv4::canonical_address;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use anyhow::Context as _;
use bot_detection::is_in_domains;
use hickory_resolver::config::{NameServerConfig, ResolveHosts, ResolverConfig};
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::{Name, RData, RecordType};
use hickory_resolver::{ResolverBuilder, TokioResolver};

/// Timeout of a query, after which it is retried once.
const QUERY_TIMEOUT: Duration = Duration::from_secs(2);
/// Timeout of all queries about an address together.
const VERIFICATION_TIMEOUT: Duration = Duration::from_secs(8);
/// PTR names of an address that are resolved; further names are ignored.
const MAX_PTR_NAMES: usize = 4;
/// Responses in the cache of the resolver.
const RESOLVER_CACHE_ENTRIES: u64 = 256;

#[derive(Clone)]
pub struct DnsVerifier {
    resolver: TokioResolver,
}

/// The result of a verification.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DnsVerification {
    /// Whether a host name of the address is in the crawler's domains and resolves to the address.
    pub is_crawler: bool,
    /// Time to live of the records in seconds; `None` if there are no records.
    pub ttl_seconds: Option<u32>,
}

/// Records and their time to live in seconds; no data if the name or the record type does not
/// exist.
struct DnsRecords {
    data: Vec<RData>,
    ttl_seconds: Option<u32>,
}

impl DnsVerifier {
    /// Queries `server`, or the name servers of the system (`/etc/resolv.conf`).
    pub fn new(server: Option<SocketAddr>) -> anyhow::Result<Self> {
        let builder = match server {
            Some(server) => builder_for_server(server),
            None => TokioResolver::builder_tokio()
                .context("cannot read the name servers of the system")?,
        };
        let mut builder = builder;
        let options = builder.options_mut();
        options.timeout = QUERY_TIMEOUT;
        options.attempts = 1;
        options.cache_size = RESOLVER_CACHE_ENTRIES;
        options.use_hosts_file = ResolveHosts::Never;
        let resolver = builder.build().context("cannot create the DNS resolver")?;
        Ok(Self { resolver })
    }

    /// Checks whether an address belongs to a host in `domains`. Returns `None` after a failure or
    /// a timeout, which prove nothing.
    pub async fn verify(&self, ip: IpAddr, domains: &[&str]) -> Option<DnsVerification> {
        let query = self.query_address(canonical_address(ip), domains);
        tokio::time::timeout(VERIFICATION_TIMEOUT, query)
            .await
            .ok()?
    }

    async fn query_address(&self, ip: IpAddr, domains: &[&str]) -> Option<DnsVerification> {
        let pointers = self.query_records(Name::from(ip), RecordType::PTR).await?;
        let names = pointers.data.into_iter().filter_map(|data| match data {
            RData::PTR(name) => Some(name.0),
            _ => None,
        });
        let own = names.filter(|name| is_in_domains(&name.to_ascii(), domains));
        let kind = match ip {
            IpAddr::V4(_) => RecordType::A,
            IpAddr::V6(_) => RecordType::AAAA,
        };
        for name in own.take(MAX_PTR_NAMES) {
            let addresses = self.query_records(name, kind).await?;
            let leads_back = |data: &RData| data.ip_addr() == Some(ip);
            if addresses.data.iter().any(leads_back) {
                return Some(DnsVerification {
                    is_crawler: true,
                    ttl_seconds: pointers.ttl_seconds.min(addresses.ttl_seconds),
                });
            }
        }
        Some(DnsVerification {
            is_crawler: false,
            ttl_seconds: pointers.ttl_seconds,
        })
    }

    /// Returns `None` after a failure, and no data if the name server denies that the records
    /// exist.
    async fn query_records(&self, mut name: Name, kind: RecordType) -> Option<DnsRecords> {
        name.set_fqdn(true);
        match self.resolver.lookup(name, kind).await {
            Ok(found) => Some(DnsRecords {
                data: found.answers().iter().map(|r| r.data.clone()).collect(),
                ttl_seconds: found.answers().iter().map(|record| record.ttl).min(),
            }),
            Err(error) if is_negative_response(&error) => Some(DnsRecords {
                data: vec![],
                ttl_seconds: None,
            }),
            Err(_) => None,
        }
    }
}

/// The name does not exist, or has no such records (RFC 2308).
fn is_negative_response(error: &NetError) -> bool {
    error.is_no_records_found()
}

fn builder_for_server(server: SocketAddr) -> ResolverBuilder<TokioRuntimeProvider> {
    let mut one = NameServerConfig::udp_and_tcp(server.ip());
    for connection in &mut one.connections {
        connection.port = server.port();
    }
    let mut config = ResolverConfig::default();
    config.name_servers = vec![one];
    TokioResolver::builder_with_config(config, TokioRuntimeProvider::default())
}
