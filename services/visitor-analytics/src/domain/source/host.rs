//! Host names of pages.

use url::Url;

pub(super) fn normalized_host(url: &Url) -> &str {
    normalize_host(url.host_str().unwrap_or_default())
}

/// Removes `www.`, and all labels except the last eight.
pub(super) fn normalize_host(host: &str) -> &str {
    const MAX_HOST_LABELS: usize = 8;
    let host = host.strip_prefix("www.").unwrap_or(host);
    let cut = host.rmatch_indices('.').nth(MAX_HOST_LABELS - 1);
    cut.map_or(host, |(at, _)| &host[at + 1..])
}

/// Whether both pages belong to the same registrable domain (by the public suffix list).
pub(super) fn is_same_site(url: &Url, referrer: &Url) -> bool {
    let (own, other) = (normalized_host(url), normalized_host(referrer));
    own == other
        || psl::domain_str(own).is_some_and(|domain| Some(domain) == psl::domain_str(other))
}
