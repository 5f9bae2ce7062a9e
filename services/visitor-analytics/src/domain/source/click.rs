//! Ids of clicks, which advertisers and networks add to landing URLs. Whose they are is kept, the
//! ids are not.

use url::Url;

use super::lists::{Kind, Source};
use super::parameters::MOST;

/// Whose click led here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "they are called as they call themselves")]
pub enum Click {
    GoogleAds,
    GoogleDisplay,
    /// A product that Google lists for free.
    GoogleProduct,
    Microsoft,
    /// Facebook marks links of people too.
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

/// The parameters, by name.
const IDS: [(&str, Click); 26] = [
    ("gclid", Click::GoogleAds),
    ("gbraid", Click::GoogleAds),
    ("wbraid", Click::GoogleAds),
    ("gclsrc", Click::GoogleAds),
    ("gad_source", Click::GoogleAds),
    ("gad_campaignid", Click::GoogleAds),
    ("dclid", Click::GoogleDisplay),
    ("srsltid", Click::GoogleProduct),
    ("msclkid", Click::Microsoft),
    ("fbclid", Click::Meta),
    ("igshid", Click::Instagram),
    ("igsh", Click::Instagram),
    ("ttclid", Click::TikTok),
    ("twclid", Click::Twitter),
    ("li_fat_id", Click::LinkedIn),
    ("sccid", Click::Snapchat),
    ("sc_click_id", Click::Snapchat),
    ("rdt_cid", Click::Reddit),
    ("epik", Click::Pinterest),
    ("yclid", Click::Yandex),
    ("ymclid", Click::Yandex),
    ("mc_cid", Click::Mailchimp),
    ("mc_eid", Click::Mailchimp),
    ("_hsenc", Click::HubSpot),
    ("_hsmi", Click::HubSpot),
    ("hsctatracking", Click::HubSpot),
];

impl Click {
    /// The click that a landing URL tells about; the one that says most where there are several.
    #[must_use]
    pub fn of(url: &Url) -> Option<Self> {
        let query = url.query()?;
        let pairs = query.split('&').take(MOST);
        let names = pairs.filter_map(|pair| pair.split('=').next());
        let places =
            names.filter_map(|name| IDS.iter().position(|(id, _)| name.eq_ignore_ascii_case(id)));
        places.min().map(|place| IDS[place].1)
    }

    /// Who led here.
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

    /// Whether a referrer says more: people's links are marked too.
    pub(super) fn is_less_than(self, referrer: Option<&Source>) -> bool {
        matches!(self, Self::Meta | Self::Instagram)
            && referrer.is_some_and(|source| source.kind == Kind::Social)
    }

    /// How.
    pub(super) fn medium(self, referrer: Option<&Source>) -> &'static str {
        match self {
            Self::GoogleDisplay => "display",
            Self::GoogleProduct => "organic",
            Self::Meta | Self::Instagram => "social",
            Self::Mailchimp | Self::HubSpot => referrer.map_or("email", |r| r.kind.medium()),
            _ => "cpc",
        }
    }

    pub(super) const fn kind(self) -> Option<Kind> {
        Some(match self {
            Self::GoogleAds | Self::GoogleDisplay | Self::Microsoft | Self::Yandex => Kind::Search,
            Self::GoogleProduct => Kind::Shopping,
            Self::Mailchimp | Self::HubSpot => return None,
            _ => Kind::Social,
        })
    }
}
