//! Logs: readable on a terminal, JSON elsewhere. `RUST_LOG` chooses what is told.

use std::io::IsTerminal as _;

use tracing_subscriber::EnvFilter;

/// They write down the names that they look up, which are visitors' addresses.
const SILENT: [&str; 3] = [
    "hickory_net=off",
    "hickory_proto=off",
    "hickory_resolver=off",
];

/// Starts logging to standard output, once for the process. Panics are logged as well.
pub fn init() {
    let filter = EnvFilter::builder()
        .with_default_directive(tracing::Level::INFO.into())
        .from_env_lossy();
    let silent = SILENT.iter().filter_map(|directive| directive.parse().ok());
    let filter = silent.fold(filter, EnvFilter::add_directive);
    let subscriber = tracing_subscriber::fmt().with_env_filter(filter);
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string);
        let text = panic.payload_as_str().unwrap_or("no text");
        tracing::error!(place, text, "panic");
    }));
    // A second start in one process (tests) keeps the first subscriber.
    let _ = if std::io::stdout().is_terminal() {
        subscriber.compact().with_target(false).try_init()
    } else {
        subscriber.json().flatten_event(true).try_init()
    };
}
