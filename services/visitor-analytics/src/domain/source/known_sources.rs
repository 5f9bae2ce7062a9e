//! Known sources (search engines, social networks, video sites, shops, AI assistants, mail programs)
//! by host and by the names that campaigns use (see `data/README.md`).

use std::collections::HashMap;
use std::sync::LazyLock;

use url::Url;

use super::host::{normalize_host, normalized_host};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SourceKind {
    Search,
    Social,
    Video,
    Shopping,
    Assistant,
    Email,
    /// Another site with a name of its own, such as Wikipedia.
    Website,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct KnownSource {
    pub(super) name: &'static str,
    pub(super) kind: SourceKind,
    display_name: &'static str,
}

impl SourceKind {
    /// The medium of a visit without campaign parameters.
    pub(super) const fn medium(self) -> &'static str {
        match self {
            Self::Search => "organic",
            Self::Social => "social",
            Self::Assistant => "ai-assistant",
            Self::Email => "email",
            Self::Video | Self::Shopping | Self::Website => "referral",
        }
    }
}

static KNOWN_SOURCES: LazyLock<HashMap<&'static str, KnownSource>> = LazyLock::new(|| {
    let lists = [
        include_str!("../../../data/sources.tsv"),
        include_str!("../../../data/services.tsv"),
    ];
    let listed = lists.into_iter().flat_map(str::lines).filter_map(|line| {
        let mut parts = line.split('\t');
        let mut next = || parts.next();
        let (key, kind, name, display_name) = (next()?, next()?, next()?, next()?);
        let kind = match kind {
            "search" => SourceKind::Search,
            "social" => SourceKind::Social,
            "video" => SourceKind::Video,
            "shopping" => SourceKind::Shopping,
            "email" => SourceKind::Email,
            "website" => SourceKind::Website,
            _ => SourceKind::Assistant,
        };
        let source = KnownSource {
            name,
            kind,
            display_name,
        };
        Some((key, source))
    });
    listed.collect()
});

/// Search engines with other services on the same domain, such as `developers.google.com`. Only some
/// of their subdomains are the search engine.
const PORTALS: [&str; 13] = [
    "google", "yahoo", "yandex", "baidu", "naver", "mailru", "seznam", "aol", "msn", "daum",
    "sogou", "web.de", "t-online",
];
/// Subdomains under which a portal's domain is still the search engine.
const SEARCH_PREFIXES: [&str; 12] = [
    "m", "search", "images", "image", "lite", "html", "start", "amp", "suche", "web", "r", "l",
];
/// Subdomains under which the domain of another search engine is not the search engine.
const NON_SEARCH_PREFIXES: [&str; 14] = [
    "mail",
    "webmail",
    "blog",
    "docs",
    "dev",
    "developer",
    "developers",
    "support",
    "help",
    "forum",
    "community",
    "status",
    "careers",
    "jobs",
];
/// Subdomains of unknown domains under which people read their mail.
const MAIL_PREFIXES: [&str; 7] = [
    "mail",
    "webmail",
    "email",
    "e-mail",
    "owa",
    "roundcube",
    "zimbra",
];

/// Returns the name of a source as people write it, such as `Wikipedia` of `wikipedia`. The name of
/// an unknown source is the source itself.
#[must_use]
pub fn display_name(source: &str) -> &str {
    match source {
        "(direct)" => "Direct",
        source => find_by_name(source).map_or(source, |found| found.display_name),
    }
}

/// Finds the source that `utm_source` names, by its name or host.
pub(super) fn find_by_name(word: &str) -> Option<KnownSource> {
    KNOWN_SOURCES.get(word).copied().or_else(|| {
        if word.contains('.') {
            find_by_host(normalize_host(word), "/")
        } else {
            None
        }
    })
}

/// Finds the source of a referrer.
pub(super) fn find_by_referrer(page: &Url) -> Option<KnownSource> {
    let name = normalized_host(page);
    if page.scheme() == "android-app" {
        return KNOWN_SOURCES.get(name).copied();
    }
    find_by_host(name, page.path())
}

/// Whether the referrer is a page on which people read their mail.
pub(super) fn is_webmail(page: &Url) -> bool {
    let name = normalized_host(page);
    let first = name.split_once('.').filter(|(_, rest)| rest.contains('.'));
    page.scheme() != "android-app" && first.is_some_and(|(first, _)| MAIL_PREFIXES.contains(&first))
}

fn find_by_host(name: &str, path: &str) -> Option<KnownSource> {
    if let Some(found) = find_by_path(name, path) {
        return Some(found);
    }
    if let Some(found) = find_exactly(name) {
        return Some(found);
    }
    let mut rest = name;
    while let Some((prefix, parent)) = rest.split_once('.') {
        if !parent.contains('.') {
            return None;
        }
        if let Some(found) = find_exactly(parent) {
            return Some(found).filter(|source| has_subdomain(source, prefix));
        }
        rest = parent;
    }
    None
}

fn find_exactly(host: &str) -> Option<KnownSource> {
    let found = KNOWN_SOURCES.get(host).copied();
    found.or_else(|| find_by_country_domain(host))
}

/// Whether the subdomain `prefix` of a source's host belongs to the source.
fn has_subdomain(source: &KnownSource, prefix: &str) -> bool {
    match source.kind {
        SourceKind::Search if PORTALS.contains(&source.name) => {
            SEARCH_PREFIXES.contains(&prefix) || prefix.len() == 2
        }
        SourceKind::Search => !NON_SEARCH_PREFIXES.contains(&prefix),
        _ => true,
    }
}

/// Finds a source that is a part of a site, such as `x.com/i/grok`.
fn find_by_path(host: &str, path: &str) -> Option<KnownSource> {
    let parts: Vec<&str> = path.trim_matches('/').split('/').take(3).collect();
    let (&first, _) = parts.split_first().filter(|(first, _)| !first.is_empty())?;
    let two = parts
        .get(1)
        .map(|second| format!("{host}/{first}/{second}"));
    let longer = two.and_then(|key| KNOWN_SOURCES.get(key.as_str()).copied());
    longer.or_else(|| {
        KNOWN_SOURCES
            .get(format!("{host}/{first}").as_str())
            .copied()
    })
}

/// Finds a source with domains for countries, such as `google.co.uk` and `de.search.yahoo.com`. The
/// list contains `{}` in place of the country.
fn find_by_country_domain(host: &str) -> Option<KnownSource> {
    let suffix = psl::suffix_str(host)?;
    let stem = host.strip_suffix(suffix)?;
    if let Some(found) = KNOWN_SOURCES.get(format!("{stem}{{}}").as_str()) {
        return Some(*found);
    }
    let (first, rest) = host.split_once('.')?;
    let is_country = first.len() == 2;
    is_country.then(|| KNOWN_SOURCES.get(format!("{{}}.{rest}").as_str()).copied())?
}
