//! Logs: readable on a terminal, JSON elsewhere. `RUST_LOG` chooses what is told.

use std::io::IsTerminal as _;

use tracing_subscriber::EnvFilter;

/// Starts logging to standard output, once for the process.
pub fn init() {
    let filter = EnvFilter::builder()
        .with_default_directive(tracing::Level::INFO.into())
        .from_env_lossy();
    let subscriber = tracing_subscriber::fmt().with_env_filter(filter);
    // A second start in one process (tests) keeps the first subscriber.
    let _ = if std::io::stdout().is_terminal() {
        subscriber.compact().with_target(false).try_init()
    } else {
        subscriber.json().flatten_event(true).try_init()
    };
}
