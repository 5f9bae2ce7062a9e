//! Rules about the network. People use VPNs in data centres too, so the network alone never makes a
//! visit a bot's.

use crate::rule::BotRule;
use crate::signals::VisitSignals;

/// AS numbers of hosting providers, from the databases of the regional registries (see
/// `data/README.md`). Sorted.
const HOSTING_ASNS: [u32; 61] = [
    2635,    // Automattic
    3598,    // Microsoft
    7506,    // GMO Internet
    8068,    // Microsoft
    8075,    // Microsoft Azure
    8100,    // QuadraNet
    8560,    // IONOS
    9009,    // M247
    9370,    // SAKURA Internet
    12876,   // Scaleway
    13238,   // Yandex
    13335,   // Cloudflare
    14061,   // DigitalOcean
    14618,   // Amazon Web Services
    15169,   // Google
    16276,   // OVH
    16509,   // Amazon Web Services
    16625,   // Akamai
    19527,   // Google
    19551,   // Imperva
    20454,   // Secured Servers
    20473,   // Vultr
    20860,   // Iomart
    20940,   // Akamai
    21859,   // Zenlayer
    24940,   // Hetzner
    26496,   // GoDaddy
    28753,   // Leaseweb
    29802,   // HIVELOCITY
    30633,   // Leaseweb
    31898,   // Oracle
    32244,   // Liquid Web
    32613,   // iWeb
    32934,   // Meta
    33070,   // Rackspace
    34788,   // Neue Medien Münnich
    35916,   // MULTACOM
    36351,   // IBM SoftLayer
    36352,   // HostPapa
    37963,   // Alibaba
    39351,   // 31173 Services
    40021,   // Contabo
    40676,   // Psychz
    45090,   // Tencent
    45102,   // Alibaba
    46606,   // Unified Layer
    47583,   // Hostinger
    49505,   // Selectel
    51167,   // Contabo
    53667,   // FranTech
    54113,   // Fastly
    54290,   // Hostwinds
    54825,   // Equinix Metal
    55286,   // ServerMania
    60068,   // Datacamp
    60781,   // LeaseWeb
    62240,   // Clouvider
    63949,   // Akamai (Linode)
    132_203, // Tencent
    202_053, // UpCloud
    396_982, // Google Cloud
];

pub(super) fn evaluate(signals: &VisitSignals) -> Vec<BotRule> {
    let listed = |asn: u32| HOSTING_ASNS.binary_search(&asn).is_ok();
    let is_hosting = signals.is_hosting || signals.asn.is_some_and(listed);
    let rules = [
        (BotRule::HostingNetwork, is_hosting),
        (BotRule::AnonymousNetwork, signals.is_anonymous),
    ];
    let fired = rules.into_iter().filter(|(_, fires)| *fires);
    fired.map(|(reason, _)| reason).collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_list_is_in_order() {
        assert!(super::HOSTING_ASNS.is_sorted());
    }
}
