//! Click ids, which ad networks add to landing URLs. The ids are discarded. Only the ad network is
//! used, to determine source and medium.

use url::Url;

use super::known_sources::{KnownSource, SourceKind};
use super::query_parameters::MAX_QUERY_PARAMETERS;

/// The network that added a click id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AdNetwork {
    GoogleAds,
    GoogleDisplay,
    /// Free product listings (`srsltid`).
    GoogleProduct,
    Microsoft,
    /// Facebook also adds click ids to links that people post.
    Meta,
    Instagram,
    TikTok,
    Twitter,
    LinkedIn,
    Snapchat,
    Reddit,
    Pinterest,
    Yandex,
    Mailchimp,
    HubSpot,
}

/// The names of the parameters. If a URL has several of them, the first one in this list counts.
const CLICK_ID_PARAMETERS: [(&str, AdNetwork); 26] = [
    ("gclid", AdNetwork::GoogleAds),
    ("gbraid", AdNetwork::GoogleAds),
    ("wbraid", AdNetwork::GoogleAds),
    ("gclsrc", AdNetwork::GoogleAds),
    ("gad_source", AdNetwork::GoogleAds),
    ("gad_campaignid", AdNetwork::GoogleAds),
    ("dclid", AdNetwork::GoogleDisplay),
    ("srsltid", AdNetwork::GoogleProduct),
    ("msclkid", AdNetwork::Microsoft),
    ("fbclid", AdNetwork::Meta),
    ("igshid", AdNetwork::Instagram),
    ("igsh", AdNetwork::Instagram),
    ("ttclid", AdNetwork::TikTok),
    ("twclid", AdNetwork::Twitter),
    ("li_fat_id", AdNetwork::LinkedIn),
    ("sccid", AdNetwork::Snapchat),
    ("sc_click_id", AdNetwork::Snapchat),
    ("rdt_cid", AdNetwork::Reddit),
    ("epik", AdNetwork::Pinterest),
    ("yclid", AdNetwork::Yandex),
    ("ymclid", AdNetwork::Yandex),
    ("mc_cid", AdNetwork::Mailchimp),
    ("mc_eid", AdNetwork::Mailchimp),
    ("_hsenc", AdNetwork::HubSpot),
    ("_hsmi", AdNetwork::HubSpot),
    ("hsctatracking", AdNetwork::HubSpot),
];

impl AdNetwork {
    /// Returns the network whose click id the URL contains.
    #[must_use]
    pub fn from_url(url: &Url) -> Option<Self> {
        let query = url.query()?;
        let pairs = query.split('&').take(MAX_QUERY_PARAMETERS);
        let names = pairs.filter_map(|pair| pair.split('=').next());
        let places = names.filter_map(|name| {
            CLICK_ID_PARAMETERS
                .iter()
                .position(|(id, _)| name.eq_ignore_ascii_case(id))
        });
        places.min().map(|place| CLICK_ID_PARAMETERS[place].1)
    }

    /// The traffic source of a click.
    pub(super) const fn source(self) -> &'static str {
        match self {
            Self::GoogleAds | Self::GoogleDisplay | Self::GoogleProduct => "google",
            Self::Microsoft => "bing",
            Self::Meta => "facebook",
            Self::Instagram => "instagram",
            Self::TikTok => "tiktok",
            Self::Twitter => "twitter",
            Self::LinkedIn => "linkedin",
            Self::Snapchat => "snapchat",
            Self::Reddit => "reddit",
            Self::Pinterest => "pinterest",
            Self::Yandex => "yandex",
            Self::Mailchimp => "mailchimp",
            Self::HubSpot => "hubspot",
        }
    }

    /// Whether the referrer is more precise than the click id, which links of people have too.
    pub(super) fn is_less_specific_than(self, referrer: Option<&KnownSource>) -> bool {
        matches!(self, Self::Meta | Self::Instagram)
            && referrer.is_some_and(|source| source.kind == SourceKind::Social)
    }

    /// The medium of a click.
    pub(super) fn medium(self, referrer: Option<&KnownSource>) -> &'static str {
        match self {
            Self::GoogleDisplay => "display",
            Self::GoogleProduct => "organic",
            Self::Meta | Self::Instagram => "social",
            Self::Mailchimp | Self::HubSpot => referrer.map_or("email", |r| r.kind.medium()),
            _ => "cpc",
        }
    }

    /// The kind of the source. Ads of search networks on a video site are video ads.
    pub(super) fn source_kind(self, referrer: Option<&KnownSource>) -> Option<SourceKind> {
        let is_on_video = referrer.is_some_and(|source| source.kind == SourceKind::Video);
        Some(match self {
            Self::GoogleAds | Self::Microsoft | Self::Yandex if is_on_video => SourceKind::Video,
            Self::GoogleAds | Self::GoogleDisplay | Self::Microsoft | Self::Yandex => {
                SourceKind::Search
            }
            Self::GoogleProduct => SourceKind::Shopping,
            Self::Mailchimp | Self::HubSpot => return None,
            _ => SourceKind::Social,
        })
    }
}
