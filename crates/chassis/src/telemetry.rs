//! Logs: readable on a terminal, JSON elsewhere. `RUST_LOG` chooses what is told.

mod secrets;

use std::io::IsTerminal as _;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

/// Starts logging to standard output, once for the process. Panics are logged as well.
pub fn init() {
    let filter = EnvFilter::builder()
        .with_default_directive(tracing::Level::INFO.into())
        .from_env_lossy();
    let subscriber = tracing_subscriber::fmt().with_env_filter(filter);
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string);
        let text = panic.payload_as_str().unwrap_or("no text");
        tracing::error!(place, text, "panic");
    }));
    // A second start in one process (tests) keeps the first subscriber.
    let _ = if std::io::stdout().is_terminal() {
        let subscriber = subscriber.compact().with_target(false).finish();
        subscriber.with(secrets::filter()).try_init()
    } else {
        let subscriber = subscriber.json().flatten_event(true).finish();
        subscriber.with(secrets::filter()).try_init()
    };
}
