//! Known sources (search engines, social networks, video sites, shops, AI assistants) by host and
//! by the names that campaigns use (see `data/README.md`).

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
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct KnownSource {
    pub(super) name: &'static str,
    pub(super) kind: SourceKind,
}

impl SourceKind {
    /// The medium of a visit without campaign parameters.
    pub(super) const fn medium(self) -> &'static str {
        match self {
            Self::Search => "organic",
            Self::Social => "social",
            Self::Assistant => "ai-assistant",
            Self::Video | Self::Shopping => "referral",
        }
    }
}

static KNOWN_SOURCES: LazyLock<HashMap<&'static str, KnownSource>> = LazyLock::new(|| {
    let lines = include_str!("../../../data/sources.tsv").lines();
    let listed = lines.filter_map(|line| {
        let mut parts = line.split('\t');
        let (key, kind, name) = (parts.next()?, parts.next()?, parts.next()?);
        let kind = match kind {
            "search" => SourceKind::Search,
            "social" => SourceKind::Social,
            "video" => SourceKind::Video,
            "shopping" => SourceKind::Shopping,
            _ => SourceKind::Assistant,
        };
        Some((key, KnownSource { name, kind }))
    });
    listed.collect()
});

/// Subdomains under which a search engine's domain is still the search engine.
const SEARCH_PREFIXES: [&str; 12] = [
    "m", "search", "images", "image", "lite", "html", "start", "amp", "suche", "web", "r", "l",
];

/// Android apps, whose referrers contain the package name instead of a host.
const ANDROID_APPS: [(&str, &str); 18] = [
    ("com.google.android.googlequicksearchbox", "google"),
    ("com.google.android.youtube", "youtube"),
    ("com.facebook.katana", "facebook"),
    ("com.facebook.lite", "facebook"),
    ("com.facebook.orca", "facebook"),
    ("com.instagram.android", "instagram"),
    ("com.instagram.barcelona", "threads"),
    ("com.twitter.android", "twitter"),
    ("com.linkedin.android", "linkedin"),
    ("com.pinterest", "pinterest"),
    ("com.reddit.frontpage", "reddit"),
    ("com.snapchat.android", "snapchat"),
    ("com.zhiliaoapp.musically", "tiktok"),
    ("org.telegram.messenger", "telegram"),
    ("com.whatsapp", "whatsapp"),
    ("com.openai.chatgpt", "chatgpt"),
    ("ai.perplexity.app.android", "perplexity"),
    ("com.anthropic.claude", "claude"),
];

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
        let app = ANDROID_APPS.iter().find(|(package, _)| *package == name);
        return app.and_then(|(_, name)| KNOWN_SOURCES.get(name).copied());
    }
    find_by_host(name, page.path())
}

fn find_by_host(name: &str, path: &str) -> Option<KnownSource> {
    if let Some(found) = find_by_path(name, path) {
        return Some(found);
    }
    if let Some(found) = KNOWN_SOURCES
        .get(name)
        .copied()
        .or_else(|| find_by_country_domain(name))
    {
        return Some(found);
    }
    let mut rest = name;
    while let Some((prefix, parent)) = rest.split_once('.') {
        if !parent.contains('.') {
            return None;
        }
        let found = KNOWN_SOURCES
            .get(parent)
            .copied()
            .or_else(|| find_by_country_domain(parent));
        // mail.google.com and developers.google.com are not the search engine.
        let is_same = |source: &KnownSource| {
            source.kind != SourceKind::Search
                || SEARCH_PREFIXES.contains(&prefix)
                || prefix.len() == 2
        };
        if found.is_some() {
            return found.filter(is_same);
        }
        rest = parent;
    }
    None
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
