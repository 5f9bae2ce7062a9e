//! Limits repeated log lines: an error is logged once per second, and a summary counts the repeats.
//! Otherwise an outage, which affects every request, could fill the disk.

use std::collections::HashMap;
use std::fmt::{Debug, Write as _};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tracing::field::{Field, Visit};
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

/// After a line was written, further lines of its kind are only counted for this time.
const REPEAT_WINDOW: Duration = Duration::from_secs(1);
/// Maximum number of kinds that are counted separately. All others share one counter.
const MAX_KINDS: usize = 256;
/// Key of the shared counter.
const OTHER_KIND_KEY: u64 = 0;
/// Maximum length of a line in its summary.
const MAX_TEXT_BYTES: usize = 300;
/// Target of the summaries, which are not limited themselves.
const SUMMARY_TARGET: &str = "chassis::repeats";
/// Two lines of a call site are of the same kind if these fields are equal. Other fields, such as
/// ids and durations, differ in every line.
const IDENTIFYING_FIELDS: [&str; 13] = [
    "message", "error", "service", "method", "route", "status", "code", "what", "channel",
    "provider", "outcome", "place", "text",
];

/// Passes one line of each kind per second. Applies to warnings, errors and failed requests.
#[derive(Clone, Debug, Default)]
pub(super) struct RepeatFilter(Arc<FilterState>);

#[derive(Debug, Default)]
struct FilterState {
    kinds: Mutex<LineKinds>,
    /// Notified when the first repeat is counted.
    repeated: Condvar,
}

#[derive(Debug, Default)]
struct LineKinds {
    by_key: HashMap<u64, LineKind>,
    has_repeats: bool,
}

/// Lines of the same kind.
#[derive(Debug)]
struct LineKind {
    written_at: Instant,
    level: Level,
    text: String,
    repeats: u64,
}

impl<S: Subscriber> Layer<S> for RepeatFilter {
    fn event_enabled(&self, event: &Event<'_>, _: Context<'_, S>) -> bool {
        if !is_rate_limited(event.metadata()) {
            return true;
        }
        let mut line = LogLine::default();
        event.record(&mut line);
        let is_failure = line.status.is_none_or(|status| status >= 400);
        !is_failure || self.should_write(*event.metadata().level(), line.key(event), line.text)
    }
}

impl RepeatFilter {
    fn should_write(&self, level: Level, key: u64, text: String) -> bool {
        let now = Instant::now();
        let mut kinds = self.lock();
        let is_expired = |kind: &LineKind| {
            kind.repeats == 0 && now.duration_since(kind.written_at) >= REPEAT_WINDOW
        };
        if kinds.by_key.len() >= MAX_KINDS && !kinds.by_key.contains_key(&key) {
            kinds.by_key.retain(|_, kind| !is_expired(kind));
        }
        let is_full = kinds.by_key.len() >= MAX_KINDS && !kinds.by_key.contains_key(&key);
        let (key, text) = if is_full {
            (OTHER_KIND_KEY, "other errors".into())
        } else {
            (key, text)
        };
        let Some(kind) = kinds.by_key.get_mut(&key) else {
            let kind = LineKind {
                written_at: now,
                level,
                text,
                repeats: 0,
            };
            kinds.by_key.insert(key, kind);
            return true;
        };
        if now.duration_since(kind.written_at) >= REPEAT_WINDOW {
            kind.written_at = now;
            return true;
        }
        kind.repeats += 1;
        if !kinds.has_repeats {
            kinds.has_repeats = true;
            self.0.repeated.notify_all();
        }
        false
    }

    fn lock(&self) -> MutexGuard<'_, LineKinds> {
        self.0.kinds.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Logs how often each kind was repeated since the last summary.
    fn summarize(&self) {
        let repeated: Vec<_> = {
            let mut kinds = self.lock();
            kinds.has_repeats = false;
            let repeated = kinds.by_key.values_mut().filter(|kind| kind.repeats > 0);
            repeated
                .map(|kind| {
                    let repeats = std::mem::take(&mut kind.repeats);
                    (kind.level, kind.text.clone(), repeats)
                })
                .collect()
        };
        for (level, text, repeats) in repeated {
            macro_rules! write {
                ($level:expr) => {
                    tracing::event!(
                        target: SUMMARY_TARGET,
                        $level,
                        repeats,
                        "… and {repeats} more like this in the last second: {text}"
                    )
                };
            }
            match level {
                Level::ERROR => write!(Level::ERROR),
                Level::WARN => write!(Level::WARN),
                _ => write!(Level::INFO),
            }
        }
    }

    /// Starts a thread that logs summaries once per second while there are repeats.
    pub(super) fn summarize_in_background(self) {
        let run = move || {
            loop {
                let mut kinds = self.lock();
                while !kinds.has_repeats {
                    let waited = self.0.repeated.wait(kinds);
                    kinds = waited.unwrap_or_else(PoisonError::into_inner);
                }
                drop(kinds);
                std::thread::sleep(REPEAT_WINDOW);
                self.summarize();
            }
        };
        let thread = std::thread::Builder::new().name("log-repeats".into());
        if let Err(error) = thread.spawn(run) {
            tracing::warn!(%error, "cannot start the thread that logs repeated errors; repeats are not reported");
        }
    }
}

fn is_rate_limited(metadata: &Metadata<'_>) -> bool {
    match *metadata.level() {
        Level::ERROR | Level::WARN => metadata.target() != SUMMARY_TARGET,
        Level::INFO => metadata.fields().field("status").is_some(),
        _ => false,
    }
}

/// The identifying fields of a line.
#[derive(Default)]
struct LogLine {
    text: String,
    status: Option<u64>,
}

impl LogLine {
    fn key(&self, event: &Event<'_>) -> u64 {
        let mut hasher = DefaultHasher::new();
        event.metadata().callsite().hash(&mut hasher);
        self.text.hash(&mut hasher);
        hasher.finish().max(OTHER_KIND_KEY + 1)
    }
}

impl Visit for LogLine {
    fn record_u64(&mut self, field: &Field, value: u64) {
        if field.name() == "status" {
            self.status = Some(value);
        }
        self.record_debug(field, &value);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.record_debug(field, &format_args!("{value}"));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        if !IDENTIFYING_FIELDS.contains(&field.name()) || self.text.len() >= MAX_TEXT_BYTES {
            return;
        }
        let separator = if self.text.is_empty() { "" } else { ", " };
        // Writing to a String does not fail. A value whose Debug fails is left out.
        let _ = match field.name() {
            "message" => write!(self.text, "{separator}{value:?}"),
            name => write!(self.text, "{separator}{name}={value:?}"),
        };
        if self.text.len() > MAX_TEXT_BYTES {
            let end = self.text.floor_char_boundary(MAX_TEXT_BYTES);
            self.text.truncate(end);
        }
    }
}

#[cfg(test)]
mod tests {
    use tracing_subscriber::layer::SubscriberExt as _;

    use super::*;

    /// The message of a line, and the number of repeats in a summary.
    type WrittenLine = (String, Option<u64>);

    /// Collects the lines that pass the filter.
    #[derive(Clone, Default)]
    struct CapturedLines(Arc<Mutex<Vec<WrittenLine>>>);

    #[derive(Default)]
    struct MessageFields(String, Option<u64>);

    impl Visit for MessageFields {
        fn record_u64(&mut self, field: &Field, value: u64) {
            if field.name() == "repeats" {
                self.1 = Some(value);
            }
        }

        fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
            if field.name() == "message" {
                self.0 = format!("{value:?}");
            }
        }
    }

    impl<S: Subscriber> Layer<S> for CapturedLines {
        fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
            let mut fields = MessageFields::default();
            event.record(&mut fields);
            self.0.lock().unwrap().push((fields.0, fields.1));
        }
    }

    fn written(log: impl FnOnce()) -> Vec<WrittenLine> {
        let (written, repeats) = (CapturedLines::default(), RepeatFilter::default());
        let subscriber = tracing_subscriber::registry()
            .with(written.clone())
            .with(repeats.clone());
        tracing::subscriber::with_default(subscriber, || {
            log();
            repeats.summarize();
        });
        let kinds = repeats.lock().by_key.len();
        assert!(kinds <= MAX_KINDS + 1, "{kinds}");
        std::mem::take(&mut *written.0.lock().unwrap())
    }

    #[test]
    fn a_repeated_error_is_written_once_and_counted() {
        let lines = written(|| {
            for n in 0..5_000 {
                tracing::error!(error = "no connection", delivery = n, "not sent");
            }
            tracing::error!(error = "refused", "not sent");
        });
        let summed: u64 = lines.iter().map(|line| line.1.unwrap_or(1)).sum();
        assert_eq!(summed, 5_001, "nothing is lost");
        // One per second. A slow machine needs more than a second for 5,000 lines and writes more.
        assert!(lines.len() < 50, "{} lines", lines.len());
        let summary = lines.iter().find(|line| line.1.is_some()).unwrap();
        assert!(
            summary.0.contains("more like this") && summary.0.contains("no connection"),
            "{}",
            summary.0
        );
    }

    #[test]
    fn what_goes_well_is_written_each_time() {
        let lines = written(|| {
            for n in 0..100 {
                tracing::info!(n, "sent");
                tracing::info!(status = 200_u16, route = "/slow", "request");
                tracing::debug!(n, "detail");
            }
        });
        assert_eq!(lines.len(), 300);
    }

    #[test]
    fn requests_that_fail_are_counted_by_route_and_status() {
        let lines = written(|| {
            for _ in 0..1_000 {
                tracing::info!(status = 503_u16, route = "/visits", ms = 3.5, "request");
                tracing::info!(status = 404_u16, route = "(no such path)", "request");
            }
        });
        assert!(lines.len() < 50, "{} lines", lines.len());
        let summed: u64 = lines.iter().map(|line| line.1.unwrap_or(1)).sum();
        assert_eq!(summed, 2_000);
    }

    #[test]
    fn errors_that_differ_each_time_take_bounded_memory_and_are_counted() {
        let lines = written(|| {
            for n in 0..10_000 {
                tracing::warn!(error = format!("no file {n}"), "lost");
            }
        });
        assert!(lines.len() < 2 * MAX_KINDS, "{} lines", lines.len());
        let summed: u64 = lines.iter().map(|line| line.1.unwrap_or(1)).sum();
        assert_eq!(summed, 10_000);
    }
}
