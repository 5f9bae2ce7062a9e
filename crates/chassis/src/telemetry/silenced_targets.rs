//! Libraries whose logs may contain secrets or personal data. `RUST_LOG` cannot enable them.

use tracing::Metadata;
use tracing_subscriber::filter::{FilterFn, filter_fn};

/// DNS clients log visitors' addresses. The mail client logs passwords, recipients and subjects.
/// HTTP clients may log URLs and headers, which contain tokens.
const SILENCED_TARGETS: [&str; 10] = [
    "h2",
    "hickory_net",
    "hickory_proto",
    "hickory_resolver",
    "hyper",
    "hyper_rustls",
    "hyper_util",
    "lettre",
    "reqwest",
    "rustls",
];

/// Drops events of the silenced libraries at every level.
pub(super) fn filter() -> FilterFn {
    filter_fn(is_allowed)
}

fn is_allowed(metadata: &Metadata) -> bool {
    let library = metadata.target().split("::").next().unwrap_or_default();
    !SILENCED_TARGETS.contains(&library)
}
