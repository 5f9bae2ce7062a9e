//! Logging: text on a terminal, JSON elsewhere. `RUST_LOG` sets the levels.

mod output;
mod repeats;
mod silenced_targets;
mod text_format;

use std::io::IsTerminal as _;

use tracing_subscriber::filter::Directive;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer as _, fmt};

use self::output::{LogFormat, LogOutput};
use self::repeats::RepeatFilter;
use self::text_format::{LineFields, TextEventFormat};

/// Starts logging to standard output, once per process. Also logs panics. A line that cannot be
/// written is counted (`log_lines_dropped_total`) and does not end the process.
pub fn init() {
    let (filter, unknown) = parse_filter(&directives_from_env());
    let is_terminal = std::io::stdout().is_terminal();
    // By default the layer reports failed writes to standard error, and panics if that fails too.
    let lines = fmt::layer().log_internal_errors(false);
    let lines = if is_terminal {
        let lines = lines.event_format(TextEventFormat::default());
        let lines = lines.fmt_fields(LineFields);
        lines.with_writer(LogOutput::new(LogFormat::Text)).boxed()
    } else {
        let lines = lines.json().flatten_event(true);
        lines.with_writer(LogOutput::new(LogFormat::Json)).boxed()
    };
    let repeats = RepeatFilter::default();
    let summaries = repeats.clone();
    let subscriber = tracing_subscriber::registry()
        .with(lines)
        .with(repeats)
        .with(silenced_targets::filter())
        .with(filter);
    // A second call in one process (tests) keeps the first subscriber.
    if subscriber.try_init().is_ok() {
        summaries.summarize_in_background();
    }
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string);
        let text = panic.payload_as_str().unwrap_or("no message");
        tracing::error!(place, text, "panic");
    }));
    for directive in unknown {
        tracing::warn!(directive, "ignoring an invalid directive in RUST_LOG");
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "RUST_LOG is not a setting of one service"
)]
fn directives_from_env() -> String {
    std::env::var(EnvFilter::DEFAULT_ENV).unwrap_or_default()
}

/// Builds the filter and returns the invalid directives. `EnvFilter` would print those to standard
/// error, and panic if that fails.
fn parse_filter(wanted: &str) -> (EnvFilter, Vec<String>) {
    let directives = wanted.split(',').map(str::trim).filter(|d| !d.is_empty());
    let (known, unknown): (Vec<&str>, Vec<&str>) =
        directives.partition(|directive| directive.parse::<Directive>().is_ok());
    let filter = EnvFilter::builder()
        .with_default_directive(tracing::Level::INFO.into())
        .parse(known.join(","))
        .unwrap_or_default();
    (filter, unknown.into_iter().map(Into::into).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn invalid_directives_are_named_and_the_others_hold() {
        let (filter, unknown) = parse_filter("warn, geo=loud,chassis=debug");
        assert_eq!(unknown, ["geo=loud"]);
        let text = filter.to_string();
        assert!(
            text.contains("warn") && text.contains("chassis=debug"),
            "{text}"
        );
        assert!(filter_text("").contains("info"));
    }

    fn filter_text(wanted: &str) -> String {
        parse_filter(wanted).0.to_string()
    }
}
