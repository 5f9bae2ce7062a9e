//! The query parameters of URLs that are stored. The others may contain personal data or secrets.

use std::collections::BTreeSet;
use std::str::FromStr;
use std::sync::Arc;

use url::Url;

/// Parameters that select the content of a page or name the campaign. They are always stored.
const DEFAULT_PARAMETERS: [&str; 22] = [
    "utm_source",
    "utm_medium",
    "utm_campaign",
    "utm_term",
    "utm_content",
    "utm_id",
    "utm_source_platform",
    "utm_creative_format",
    "utm_marketing_tactic",
    "ref",
    "source",
    "campaign",
    "page",
    "p",
    "lang",
    "language",
    "sort",
    "order",
    "category",
    "tag",
    "tab",
    "view",
];

/// Further parameters are neither evaluated nor stored.
pub(super) const MAX_QUERY_PARAMETERS: usize = 64;

/// The parameters that are stored in addition to `DEFAULT_PARAMETERS`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct QueryParameterAllowlist {
    additional: Arc<BTreeSet<String>>,
    allow_all: bool,
}

impl FromStr for QueryParameterAllowlist {
    type Err = std::convert::Infallible;

    /// Parses comma-separated names. `*` allows all parameters.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let names = text
            .split(',')
            .map(str::trim)
            .filter(|name| !name.is_empty());
        let more: BTreeSet<String> = names.map(str::to_lowercase).collect();
        Ok(Self {
            allow_all: more.contains("*"),
            additional: Arc::new(more),
        })
    }
}

impl QueryParameterAllowlist {
    /// Removes the parameters that are not allowed, and all whose value contains an e-mail address.
    pub fn strip_disallowed(&self, url: &mut Url) {
        let Some(query) = url.query() else {
            return;
        };
        let pairs = query.split('&').take(MAX_QUERY_PARAMETERS);
        let kept: Vec<&str> = pairs.filter(|pair| self.is_allowed(pair)).collect();
        if kept.len() == query.split('&').count() {
            return;
        }
        let kept = kept.join("&");
        url.set_query(Some(kept.as_str()).filter(|kept| !kept.is_empty()));
    }

    fn is_allowed(&self, pair: &str) -> bool {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let listed = || {
            let name = name.to_ascii_lowercase();
            DEFAULT_PARAMETERS.contains(&name.as_str()) || self.additional.contains(&name)
        };
        let is_mail = value.contains('@') || value.contains("%40");
        !name.is_empty() && !is_mail && (self.allow_all || listed())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_listed_is_kept() {
        let kept = |setting: &str, query: &str| {
            let mut url = Url::parse(&format!("https://a.example/x?{query}")).unwrap();
            setting
                .parse::<QueryParameterAllowlist>()
                .unwrap()
                .strip_disallowed(&mut url);
            url.query().map(str::to_owned)
        };
        let all = "utm_source=n&token=secret&email=a%40b.example&Page=2";
        assert_eq!(kept("", all).as_deref(), Some("utm_source=n&Page=2"));
        assert_eq!(
            kept("token", all).as_deref(),
            Some("utm_source=n&token=secret&Page=2")
        );
        assert_eq!(
            kept("*", all).as_deref(),
            Some("utm_source=n&token=secret&Page=2")
        );
        assert_eq!(kept("", "ref=a@b.example&token=x"), None);
        assert_eq!(
            kept("", "utm_term=a%20b").as_deref(),
            Some("utm_term=a%20b")
        );
        assert_eq!(kept("", "gclid=x"), None);
        let many = "p=1&".repeat(100);
        assert_eq!(
            kept("*", &many).unwrap().split('&').count(),
            MAX_QUERY_PARAMETERS
        );
    }
}
