//! The network of an address and its users.

use common::geo::Location;
use serde::Deserialize;

use super::merge::{non_empty, set_if_none};

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
        set_if_none(&mut to.asn, || self.autonomous_system_number);
        set_if_none(&mut to.as_organization, || {
            let organization = &self.autonomous_system_organization;
            non_empty(organization.as_ref())
        });
        set_if_none(&mut to.isp, || non_empty(self.isp.as_ref()));
        set_if_none(&mut to.organization, || {
            non_empty(self.organization.as_ref())
        });
        set_if_none(&mut to.domain, || non_empty(self.domain.as_ref()));
        set_if_none(&mut to.connection_type, || {
            non_empty(self.connection_type.as_ref())
        });
        set_if_none(&mut to.user_type, || non_empty(self.user_type.as_ref()));
        set_if_none(&mut to.is_anonymous, || self.is_anonymous);
        set_if_none(&mut to.is_anonymous_vpn, || self.is_anonymous_vpn);
        set_if_none(&mut to.is_hosting_provider, || self.is_hosting_provider);
        set_if_none(&mut to.is_public_proxy, || self.is_public_proxy);
        set_if_none(&mut to.is_residential_proxy, || self.is_residential_proxy);
        set_if_none(&mut to.is_tor_exit_node, || self.is_tor_exit_node);
        set_if_none(&mut to.anonymizer_confidence, || self.anonymizer_confidence);
        set_if_none(&mut to.anonymizer_provider, || {
            non_empty(self.provider_name.as_ref())
        });
        set_if_none(&mut to.anonymizer_last_seen, || {
            non_empty(self.last_seen.as_ref())
        });
    }
}

/// Sets the empty anonymity flags to false, for sources in which an absent flag means false.
pub(in crate::clients) fn deny_anonymity_flags(to: &mut Location) {
    let marks = [
        &mut to.is_anonymous,
        &mut to.is_anonymous_vpn,
        &mut to.is_hosting_provider,
        &mut to.is_public_proxy,
        &mut to.is_residential_proxy,
        &mut to.is_tor_exit_node,
    ];
    for mark in marks {
        set_if_none(mark, || Some(false));
    }
}
