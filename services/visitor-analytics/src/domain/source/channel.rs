//! Acquisition channels, according to GA4's default channel group
//! (<https://support.google.com/analytics/answer/9756891>) and a further channel for AI assistants.

use super::known_sources::SourceKind;

/// An acquisition channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AcquisitionChannel {
    Direct,
    CrossNetwork,
    PaidShopping,
    PaidSearch,
    PaidSocial,
    PaidVideo,
    Display,
    PaidOther,
    AiAssistants,
    OrganicShopping,
    OrganicSocial,
    OrganicVideo,
    OrganicSearch,
    Referral,
    Email,
    Affiliates,
    Audio,
    Sms,
    MobilePush,
    Unassigned,
}

impl AcquisitionChannel {
    pub const ALL: [Self; 20] = [
        Self::Direct,
        Self::CrossNetwork,
        Self::PaidShopping,
        Self::PaidSearch,
        Self::PaidSocial,
        Self::PaidVideo,
        Self::Display,
        Self::PaidOther,
        Self::AiAssistants,
        Self::OrganicShopping,
        Self::OrganicSocial,
        Self::OrganicVideo,
        Self::OrganicSearch,
        Self::Referral,
        Self::Email,
        Self::Affiliates,
        Self::Audio,
        Self::Sms,
        Self::MobilePush,
        Self::Unassigned,
    ];

    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|channel| channel.as_str() == name)
    }

    /// The name in the API and the database.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Direct => "Direct",
            Self::CrossNetwork => "Cross-network",
            Self::PaidShopping => "Paid Shopping",
            Self::PaidSearch => "Paid Search",
            Self::PaidSocial => "Paid Social",
            Self::PaidVideo => "Paid Video",
            Self::Display => "Display",
            Self::PaidOther => "Paid Other",
            Self::AiAssistants => "AI Assistants",
            Self::OrganicShopping => "Organic Shopping",
            Self::OrganicSocial => "Organic Social",
            Self::OrganicVideo => "Organic Video",
            Self::OrganicSearch => "Organic Search",
            Self::Referral => "Referral",
            Self::Email => "Email",
            Self::Affiliates => "Affiliates",
            Self::Audio => "Audio",
            Self::Sms => "SMS",
            Self::MobilePush => "Mobile Push Notifications",
            Self::Unassigned => "Unassigned",
        }
    }
}

/// Returns the channel of a source and medium, both in lower case. `kind` is the kind of the source
/// if it is a known one. The first rule that matches decides.
pub(super) fn classify(
    source: &str,
    medium: &str,
    campaign: Option<&str>,
    kind: Option<SourceKind>,
) -> AcquisitionChannel {
    let campaign = campaign.unwrap_or_default().to_lowercase();
    let is_shop = kind == Some(SourceKind::Shopping) || is_shopping_campaign(&campaign);
    let is = |wanted: SourceKind| kind == Some(wanted);
    let is_paid = medium.contains("cp")
        || medium == "ppc"
        || medium == "retargeting"
        || medium.starts_with("paid");
    let one_of = |words: &[&str]| words.contains(&medium);
    let mail = ["email", "e-mail", "e_mail", "e mail"];
    let rules = [
        (
            AcquisitionChannel::Direct,
            source == "(direct)" && one_of(&["(none)", "(not set)"]),
        ),
        (
            AcquisitionChannel::CrossNetwork,
            campaign.contains("cross-network"),
        ),
        (AcquisitionChannel::PaidShopping, is_paid && is_shop),
        (
            AcquisitionChannel::PaidSearch,
            is_paid && is(SourceKind::Search),
        ),
        (
            AcquisitionChannel::PaidSocial,
            is_paid && is(SourceKind::Social),
        ),
        (
            AcquisitionChannel::PaidVideo,
            is_paid && is(SourceKind::Video),
        ),
        (
            AcquisitionChannel::Display,
            one_of(&["display", "banner", "expandable", "interstitial", "cpm"]),
        ),
        (AcquisitionChannel::PaidOther, is_paid),
        (
            AcquisitionChannel::AiAssistants,
            is(SourceKind::Assistant) || medium == "ai-assistant",
        ),
        (AcquisitionChannel::OrganicShopping, is_shop),
        (
            AcquisitionChannel::OrganicSocial,
            is(SourceKind::Social)
                || one_of(&[
                    "social",
                    "social-network",
                    "social-media",
                    "sm",
                    "social network",
                    "social media",
                ]),
        ),
        (
            AcquisitionChannel::OrganicVideo,
            is(SourceKind::Video) || medium.contains("video"),
        ),
        (
            AcquisitionChannel::OrganicSearch,
            is(SourceKind::Search) || medium == "organic",
        ),
        (
            AcquisitionChannel::Email,
            is(SourceKind::Email) || mail.contains(&source) || mail.contains(&medium),
        ),
        (
            AcquisitionChannel::Affiliates,
            one_of(&["affiliate", "affiliates"]),
        ),
        (AcquisitionChannel::Audio, medium == "audio"),
        (AcquisitionChannel::Sms, source == "sms" || medium == "sms"),
        (
            AcquisitionChannel::MobilePush,
            medium.ends_with("push")
                || medium.contains("mobile")
                || medium.contains("notification")
                || source == "firebase",
        ),
        (
            AcquisitionChannel::Referral,
            one_of(&["referral", "app", "link"]),
        ),
    ];
    let fits = rules.into_iter().find(|(_, fits)| *fits);
    fits.map_or(AcquisitionChannel::Unassigned, |(channel, _)| channel)
}

/// Whether a campaign contains `shopping`, or `shop` without a letter other than `e` before it. So
/// `eshop` matches and `workshop` does not.
fn is_shopping_campaign(campaign: &str) -> bool {
    let before = |at: usize| campaign[..at].chars().next_back();
    let mut places = campaign.match_indices("shop").map(|(at, _)| at);
    campaign.contains("shopping")
        || places.any(|at| before(at).is_none_or(|c| c == 'e' || !c.is_ascii_alphabetic()))
}
