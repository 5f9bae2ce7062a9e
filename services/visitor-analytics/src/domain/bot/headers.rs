//! What the request's headers give away, where the client sent them along.

use super::Reason;
use crate::domain::visit::Headers;

pub(super) fn judge(headers: &Headers) -> Vec<Reason> {
    let says = |name: &str, word: &str| {
        let value = headers.get(name);
        value.is_some_and(|value| value.to_ascii_lowercase().contains(word))
    };
    let prefetch = says("sec-purpose", "prefetch")
        || says("purpose", "prefetch")
        || says("x-purpose", "preview")
        || says("x-moz", "prefetch");
    let rules = [
        (Reason::Prefetch, prefetch),
        (
            Reason::NoAcceptLanguage,
            headers.get("accept-language").is_none(),
        ),
        (Reason::NoAccept, headers.get("accept").is_none()),
    ];
    let fired = rules.into_iter().filter(|(_, fires)| *fires);
    fired.map(|(reason, _)| reason).collect()
}
