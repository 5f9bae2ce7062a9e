//! Libraries that write down what they carry, which `RUST_LOG` cannot switch on.

use tracing::Metadata;
use tracing_subscriber::filter::{FilterFn, filter_fn};

/// Name servers' clients write down visitors' addresses; the mail client passwords, recipients and
/// subjects; HTTP clients may write down URLs and headers, which hold tokens.
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

/// Lets through what may be logged at all, whatever its level.
pub(super) fn filter() -> FilterFn {
    filter_fn(may_be_logged)
}

fn may_be_logged(metadata: &Metadata) -> bool {
    let library = metadata.target().split("::").next().unwrap_or_default();
    !SILENCED_TARGETS.contains(&library)
}
