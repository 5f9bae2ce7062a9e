//! What the rules examine of a visit.

use url::Url;
use user_agent::RequestHeaders;

/// The input of the rules, apart from the [`UserAgentVerdict`](crate::UserAgentVerdict).
#[derive(Clone, Copy, Debug, Default)]
pub struct VisitSignals<'a> {
    /// Compared with the headers, which may contradict it.
    pub user_agent: &'a str,
    /// `None` if the client sent no headers with the visit.
    pub headers: Option<&'a RequestHeaders>,
    /// Whether the page was requested over HTTPS. Browsers send some headers only then.
    pub is_secure: bool,
    /// The path of the page.
    pub path: &'a str,
    pub referrer: Option<&'a Url>,
    /// The AS number, if known.
    pub asn: Option<u32>,
    /// Whether the network is known to belong to a hosting provider.
    pub is_hosting: bool,
    /// Whether the address is known to hide its user (VPN, proxy, Tor).
    pub is_anonymous: bool,
}
