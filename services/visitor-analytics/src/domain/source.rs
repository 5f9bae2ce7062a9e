//! Determines the source, medium and acquisition channel of a visit.

mod channel;
mod click_id;
mod host;
mod known_sources;
mod query_parameters;

pub use channel::AcquisitionChannel;
pub use click_id::AdNetwork;
pub use known_sources::display_name;
pub use query_parameters::QueryParameterAllowlist;

use std::borrow::Cow;

use bot_detection::is_referrer_spam;
use percent_encoding::percent_decode_str;
use url::Url;

use self::host::{is_same_site, normalized_host};
use self::known_sources::KnownSource;

/// The source of a visit, determined from the landing URL and the referrer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrafficSource {
    /// `utm_source` in lower case, else the source of the click id, else the name (`google`) or
    /// host of the referrer, else `(direct)`.
    pub source: String,
    /// `utm_medium` in lower case, else `cpc`, `display`, `email`, `organic`, `social`,
    /// `ai-assistant`, `referral` or `(none)`.
    pub medium: String,
    pub channel: AcquisitionChannel,
    /// The campaign parameters in their original case.
    pub utm: UtmParameters,
}

/// The campaign parameters of a landing URL.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UtmParameters {
    pub source: Option<String>,
    pub medium: Option<String>,
    pub campaign: Option<String>,
    pub term: Option<String>,
    pub content: Option<String>,
}

const MAX_UTM_BYTES: usize = 200;

impl TrafficSource {
    /// Determines the source of a visit to `url`. `click` is the ad network of the URL's click id.
    /// Referrers of the site itself and of spammers are ignored.
    #[must_use]
    pub fn detect(url: &Url, referrer: Option<&Url>, click: Option<AdNetwork>) -> Self {
        let utm = UtmParameters::from_url(url);
        let referrer = referrer.filter(|page| !is_same_site(url, page) && !is_referrer_spam(page));
        let found = referrer.and_then(known_sources::find_by_referrer);
        let host = referrer.map(|page| normalized_host(page).to_owned());
        let source = utm.source.as_deref().map(str::to_lowercase);
        let medium = utm.medium.as_deref().map(str::to_lowercase);
        let named = source.as_deref().and_then(known_sources::find_by_name);
        let is_webmail = referrer.is_some_and(known_sources::is_webmail);
        // Facebook also adds its click id to links in Instagram, where the referrer is more
        // precise.
        let click = click.filter(|click| !click.is_less_specific_than(found.as_ref()));
        let clicked = click.map(AdNetwork::source);
        let medium = medium
            .or_else(|| click.map(|click| click.medium(found.as_ref()).to_owned()))
            .or_else(|| found.as_ref().map(|source| source.kind.medium().to_owned()))
            .or_else(|| is_webmail.then(|| "email".to_owned()))
            .or_else(|| host.as_ref().map(|_| "referral".to_owned()))
            .unwrap_or_else(|| "(none)".to_owned());
        let by_link = |source: &KnownSource| source.name.to_owned();
        let kind = match (&source, click) {
            (Some(_), _) => named.map(|source| source.kind),
            (None, Some(click)) => click.source_kind(found.as_ref()),
            (None, None) => found.as_ref().map(|source| source.kind),
        };
        let source = source
            .or_else(|| clicked.map(str::to_owned))
            .or_else(|| found.as_ref().map(by_link))
            .or(host)
            .unwrap_or_else(|| "(direct)".to_owned());
        Self {
            channel: channel::classify(&source, &medium, utm.campaign.as_deref(), kind),
            source,
            medium,
            utm,
        }
    }
}

impl UtmParameters {
    fn from_url(url: &Url) -> Self {
        let mut utm = Self::default();
        if url.query().is_none_or(|query| !query.contains("utm_")) {
            return utm;
        }
        for (name, value) in url
            .query_pairs()
            .take(query_parameters::MAX_QUERY_PARAMETERS)
        {
            let field = match &*name {
                "utm_source" => &mut utm.source,
                "utm_medium" => &mut utm.medium,
                "utm_campaign" => &mut utm.campaign,
                "utm_term" => &mut utm.term,
                "utm_content" => &mut utm.content,
                _ => continue,
            };
            let mut text = decode_repeatedly(value).replace(char::is_control, "");
            text.truncate(text.floor_char_boundary(MAX_UTM_BYTES));
            if field.is_none() && !text.trim().is_empty() {
                *field = Some(text.trim().to_owned());
            }
        }
        utm
    }
}

/// Decodes a value that was encoded several times, such as `no%2520code`, which some senders do.
fn decode_repeatedly(value: Cow<'_, str>) -> Cow<'_, str> {
    const MAX_ROUNDS: usize = 3;
    let mut text = value;
    for _ in 0..MAX_ROUNDS {
        if !text.contains('%') {
            break;
        }
        let decoded = match percent_decode_str(&text).decode_utf8() {
            Ok(Cow::Owned(decoded)) => decoded,
            Ok(Cow::Borrowed(_)) | Err(_) => break,
        };
        text = Cow::Owned(decoded);
    }
    text
}

#[cfg(test)]
mod tests;
