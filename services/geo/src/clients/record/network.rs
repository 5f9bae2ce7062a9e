//! The network of an address and its users.

use common::geo::Location;
use serde::Deserialize;

use super::{fill, owned};

/// A record of the ASN, ISP, Domain, Connection-Type, Anonymous-IP and Anonymous-Plus databases;
/// `traits` of the Enterprise database and of the web service; `anonymizer` of the web service.
///
/// `T` is `&str` for texts borrowed from a database, and `String` for the web service.
/// Source: <https://dev.maxmind.com/geoip/docs/databases/>.
#[derive(Deserialize)]
pub(in crate::clients) struct NetworkRecord<T> {
    /// The network (CIDR), only in the web service.
    #[serde(rename = "network")]
    pub(super) cidr: Option<T>,
    autonomous_system_number: Option<u32>,
    autonomous_system_organization: Option<T>,
    isp: Option<T>,
    organization: Option<T>,
    domain: Option<T>,
    connection_type: Option<T>,
    user_type: Option<T>,
    is_anonymous: Option<bool>,
    is_anonymous_vpn: Option<bool>,
    is_hosting_provider: Option<bool>,
    is_public_proxy: Option<bool>,
    is_residential_proxy: Option<bool>,
    is_tor_exit_node: Option<bool>,
    #[serde(alias = "confidence")]
    anonymizer_confidence: Option<u8>,
    provider_name: Option<T>,
    #[serde(rename = "network_last_seen")]
    last_seen: Option<T>,
}

impl<T: AsRef<str>> NetworkRecord<T> {
    /// Fills the empty fields of `to`.
    pub(in crate::clients) fn fill(&self, to: &mut Location) {
        fill(&mut to.asn, || self.autonomous_system_number);
        fill(&mut to.as_organization, || {
            let organization = &self.autonomous_system_organization;
            owned(organization.as_ref())
        });
        fill(&mut to.isp, || owned(self.isp.as_ref()));
        fill(&mut to.organization, || owned(self.organization.as_ref()));
        fill(&mut to.domain, || owned(self.domain.as_ref()));
        fill(&mut to.connection_type, || {
            owned(self.connection_type.as_ref())
        });
        fill(&mut to.user_type, || owned(self.user_type.as_ref()));
        fill(&mut to.is_anonymous, || self.is_anonymous);
        fill(&mut to.is_anonymous_vpn, || self.is_anonymous_vpn);
        fill(&mut to.is_hosting_provider, || self.is_hosting_provider);
        fill(&mut to.is_public_proxy, || self.is_public_proxy);
        fill(&mut to.is_residential_proxy, || self.is_residential_proxy);
        fill(&mut to.is_tor_exit_node, || self.is_tor_exit_node);
        fill(&mut to.anonymizer_confidence, || self.anonymizer_confidence);
        fill(&mut to.anonymizer_provider, || {
            owned(self.provider_name.as_ref())
        });
        fill(&mut to.anonymizer_last_seen, || {
            owned(self.last_seen.as_ref())
        });
    }
}

/// Sets the empty anonymity flags to false, for sources in which an absent flag means false.
pub(in crate::clients) fn deny_marks(to: &mut Location) {
    let marks = [
        &mut to.is_anonymous,
        &mut to.is_anonymous_vpn,
        &mut to.is_hosting_provider,
        &mut to.is_public_proxy,
        &mut to.is_residential_proxy,
        &mut to.is_tor_exit_node,
    ];
    for mark in marks {
        fill(mark, || Some(false));
    }
}
