//! Where a visitor came from.

mod channel;
mod click;
mod lists;
mod parameters;

pub use channel::Channel;
pub use click::AdNetwork;
pub use parameters::QueryParameterAllowlist;

use bot_detection::is_spam;
use url::Url;

use lists::KnownSource;

/// What the landing URL and the referrer tell. `source` and `medium` follow the words that
/// `utm_source` and `utm_medium` made common.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrafficSource {
    /// `utm_source`, else whose click it was, else the referrer's name (`google`) or host, else
    /// `(direct)`.
    pub source: String,
    /// `utm_medium`, else `cpc`, `organic`, `social`, `ai-assistant`, `referral` or `(none)`.
    pub medium: String,
    /// The acquisition channel.
    pub channel: Channel,
    /// The campaign parameters as they were.
    pub utm: UtmParameters,
}

/// The campaign parameters of a landing URL.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UtmParameters {
    /// `utm_source`.
    pub source: Option<String>,
    /// `utm_medium`.
    pub medium: Option<String>,
    /// `utm_campaign`.
    pub campaign: Option<String>,
    /// `utm_term`.
    pub term: Option<String>,
    /// `utm_content`.
    pub content: Option<String>,
}

const MAX_UTM_BYTES: usize = 200;

impl TrafficSource {
    /// The origin of a visit to `url` that was led there by `referrer`, or by a click that the URL
    /// told about. The site's own pages lead nobody there, and neither do spammers.
    #[must_use]
    pub fn of(url: &Url, referrer: Option<&Url>, click: Option<AdNetwork>) -> Self {
        let utm = UtmParameters::of(url);
        let referrer = referrer.filter(|page| !is_own(url, page) && !is_spam(page));
        let found = referrer.and_then(lists::referrer);
        let host = referrer.map(|page| bare_host(page).to_owned());
        let source = utm.source.as_deref().map(str::to_lowercase);
        let medium = utm.medium.as_deref().map(str::to_lowercase);
        let named = source.as_deref().and_then(lists::word);
        // Facebook marks links in Instagram too, and the referrer knows better.
        let click = click.filter(|click| !click.is_less_than(found.as_ref()));
        let clicked = click.map(AdNetwork::source);
        let medium = medium
            .or_else(|| click.map(|click| click.medium(found.as_ref()).to_owned()))
            .or_else(|| found.as_ref().map(|source| source.kind.medium().to_owned()))
            .or_else(|| host.as_ref().map(|_| "referral".to_owned()))
            .unwrap_or_else(|| "(none)".to_owned());
        let by_link = |source: &KnownSource| source.name.to_owned();
        let kind = match (&source, click) {
            (Some(_), _) => named.map(|source| source.kind),
            (None, Some(click)) => click.kind(),
            (None, None) => found.as_ref().map(|source| source.kind),
        };
        let source = source
            .or_else(|| clicked.map(str::to_owned))
            .or_else(|| found.as_ref().map(by_link))
            .or(host)
            .unwrap_or_else(|| "(direct)".to_owned());
        Self {
            channel: channel::of(&source, &medium, utm.campaign.as_deref(), kind),
            source,
            medium,
            utm,
        }
    }
}

impl UtmParameters {
    fn of(url: &Url) -> Self {
        let mut utm = Self::default();
        if url.query().is_none_or(|query| !query.contains("utm_")) {
            return utm;
        }
        for (name, value) in url.query_pairs().take(parameters::MAX_QUERY_PARAMETERS) {
            let field = match &*name {
                "utm_source" => &mut utm.source,
                "utm_medium" => &mut utm.medium,
                "utm_campaign" => &mut utm.campaign,
                "utm_term" => &mut utm.term,
                "utm_content" => &mut utm.content,
                _ => continue,
            };
            let mut text = value.replace(char::is_control, "");
            text.truncate(text.floor_char_boundary(MAX_UTM_BYTES));
            if field.is_none() && !text.trim().is_empty() {
                *field = Some(text.trim().to_owned());
            }
        }
        utm
    }
}

fn bare_host(url: &Url) -> &str {
    bare(url.host_str().unwrap_or_default())
}

/// A host without `www.`, and without what stands in front of its last eight labels.
fn bare(host: &str) -> &str {
    const MAX_HOST_LABELS: usize = 8;
    let host = host.strip_prefix("www.").unwrap_or(host);
    let cut = host.rmatch_indices('.').nth(MAX_HOST_LABELS - 1);
    cut.map_or(host, |(at, _)| &host[at + 1..])
}

/// Whether both are pages of one registered domain (by the public suffix list).
fn is_own(url: &Url, referrer: &Url) -> bool {
    let (own, other) = (bare_host(url), bare_host(referrer));
    own == other
        || psl::domain_str(own).is_some_and(|domain| Some(domain) == psl::domain_str(other))
}

#[cfg(test)]
mod tests;
