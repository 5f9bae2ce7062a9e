//! Where a visitor came from.

use url::Url;

/// What the landing URL and the referrer tell. `source` and `medium` follow the words that
/// `utm_source` and `utm_medium` made common.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// `utm_source`, else the referrer's host, else `(direct)`.
    pub source: String,
    /// `utm_medium`, else `referral`, else `(none)`.
    pub medium: String,
    /// The campaign parameters as they were.
    pub utm: Utm,
}

/// The campaign parameters of a landing URL.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Utm {
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

const LONGEST: usize = 200;

impl Origin {
    /// The origin of a visit to `url` that was led there by `referrer`; the site's own pages lead
    /// nobody there.
    #[must_use]
    pub fn of(url: &Url, referrer: Option<&Url>) -> Self {
        let utm = Utm::of(url);
        let own = bare_host(url);
        let host = referrer.map(bare_host).filter(|host| *host != own);
        let source = utm.source.clone().map(|source| source.to_lowercase());
        let medium = utm.medium.clone().map(|medium| medium.to_lowercase());
        let by_link = if host.is_some() { "referral" } else { "(none)" };
        Self {
            medium: medium.unwrap_or_else(|| by_link.to_owned()),
            source: source
                .or(host.map(str::to_owned))
                .unwrap_or_else(|| "(direct)".to_owned()),
            utm,
        }
    }
}

impl Utm {
    fn of(url: &Url) -> Self {
        let mut utm = Self::default();
        if url.query().is_none_or(|query| !query.contains("utm_")) {
            return utm;
        }
        for (name, value) in url.query_pairs() {
            let field = match &*name {
                "utm_source" => &mut utm.source,
                "utm_medium" => &mut utm.medium,
                "utm_campaign" => &mut utm.campaign,
                "utm_term" => &mut utm.term,
                "utm_content" => &mut utm.content,
                _ => continue,
            };
            let mut text = value.replace(char::is_control, "");
            text.truncate(text.floor_char_boundary(LONGEST));
            if field.is_none() && !text.trim().is_empty() {
                *field = Some(text.trim().to_owned());
            }
        }
        utm
    }
}

fn bare_host(url: &Url) -> &str {
    let host = url.host_str().unwrap_or_default();
    host.strip_prefix("www.").unwrap_or(host)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin(url: &str, referrer: Option<&str>) -> (String, String) {
        let referrer = referrer.map(|text| Url::parse(text).unwrap());
        let origin = Origin::of(&Url::parse(url).unwrap(), referrer.as_ref());
        (origin.source, origin.medium)
    }

    #[test]
    fn campaigns_come_before_referrers_and_referrers_before_nothing() {
        let cases = [
            ("https://a.example/", None, "(direct)", "(none)"),
            (
                "https://a.example/",
                Some("https://www.google.com/"),
                "google.com",
                "referral",
            ),
            (
                "https://a.example/",
                Some("https://www.a.example/x"),
                "(direct)",
                "(none)",
            ),
            (
                "https://a.example/?utm_source=News&utm_medium=Email",
                None,
                "news",
                "email",
            ),
            (
                "https://a.example/?utm_source=x",
                Some("https://b.example/"),
                "x",
                "referral",
            ),
            (
                "https://a.example/?utm_source=%20",
                None,
                "(direct)",
                "(none)",
            ),
        ];
        for (url, referrer, source, medium) in cases {
            let found = origin(url, referrer);
            assert_eq!(found, (source.into(), medium.into()), "{url} {referrer:?}");
        }
    }
}
