//! The format of log lines on a terminal: one line, and the field `text` below as people read it.

use std::fmt::{self, Debug};

use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::field::{MakeVisitor, VisitFmt, VisitOutput};
use tracing_subscriber::fmt::FmtContext;
use tracing_subscriber::fmt::format::{
    Compact, DefaultVisitor, Format, FormatEvent, FormatFields, Writer,
};
use tracing_subscriber::registry::LookupSpan;

/// Contents of messages and other texts with several lines.
const TEXT_FIELD: &str = "text";
/// Keeps a line of a text apart from a log line.
const INDENT: &str = "    ";

/// Formats an event as one line, followed by the lines of its `text`.
pub(super) struct TextEventFormat(Format<Compact>);

/// Formats the fields of a line, all except `text`.
pub(super) struct LineFields;

pub(super) struct LineFieldVisitor<'a>(DefaultVisitor<'a>);

impl Default for TextEventFormat {
    fn default() -> Self {
        Self(
            tracing_subscriber::fmt::format()
                .compact()
                .with_target(false),
        )
    }
}

impl<S, N> FormatEvent<S, N> for TextEventFormat
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        self.0.format_event(context, writer.by_ref(), event)?;
        let mut text = TextField::default();
        event.record(&mut text);
        for line in text.0.lines() {
            writeln!(writer, "{INDENT}{}", escape_controls(line))?;
        }
        Ok(())
    }
}

impl<'a> MakeVisitor<Writer<'a>> for LineFields {
    type Visitor = LineFieldVisitor<'a>;

    fn make_visitor(&self, writer: Writer<'a>) -> LineFieldVisitor<'a> {
        LineFieldVisitor(DefaultVisitor::new(writer, true))
    }
}

impl Visit for LineFieldVisitor<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() != TEXT_FIELD {
            self.0.record_str(field, value);
        }
    }

    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        self.0.record_error(field, value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.0.record_debug(field, value);
    }
}

impl VisitOutput<fmt::Result> for LineFieldVisitor<'_> {
    fn finish(self) -> fmt::Result {
        self.0.finish()
    }
}

impl VisitFmt for LineFieldVisitor<'_> {
    fn writer(&mut self) -> &mut dyn fmt::Write {
        self.0.writer()
    }
}

#[derive(Default)]
struct TextField(String);

impl Visit for TextField {
    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == TEXT_FIELD {
            value.clone_into(&mut self.0);
        }
    }

    fn record_debug(&mut self, _: &Field, _: &dyn Debug) {}
}

/// Escapes characters that control the terminal or change the direction of the text.
fn escape_controls(line: &str) -> String {
    let mut escaped = String::with_capacity(line.len());
    for c in line.chars() {
        let changes_direction = matches!(
            c,
            '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
        );
        if changes_direction || c.is_control() && c != '\t' {
            escaped.extend(c.escape_default());
        } else {
            escaped.push(c);
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    use tracing_subscriber::layer::SubscriberExt as _;

    use super::*;

    #[derive(Clone, Default)]
    struct Buffer(Arc<Mutex<Vec<u8>>>);

    impl Write for Buffer {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn written(log: impl FnOnce()) -> String {
        let buffer = Buffer::default();
        let writer = buffer.clone();
        let lines = tracing_subscriber::fmt::layer()
            .event_format(TextEventFormat::default())
            .fmt_fields(LineFields)
            .with_ansi(false)
            .with_writer(move || writer.clone());
        let subscriber = tracing_subscriber::registry().with(lines);
        tracing::subscriber::with_default(subscriber, log);
        let bytes = buffer.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn a_text_stands_below_its_line() {
        let text = "New visitor on пример.рф\nPage: /a \"b\"\n\nFrom: \u{1b}[2Jx\r\u{9b}\u{202e}";
        let lines = written(|| {
            tracing::info!(channel = "log", code = 7, recipient = %"+1•••67", text, "message");
        });
        let (line, below) = lines.split_once('\n').unwrap();
        assert!(
            line.ends_with("INFO message channel=\"log\" code=7 recipient=+1•••67"),
            "{line}"
        );
        assert_eq!(
            below,
            "    New visitor on пример.рф\n    Page: /a \"b\"\n    \n    \
             From: \\u{1b}[2Jx\\r\\u{9b}\\u{202e}\n"
        );
        assert!(!lines.contains('\u{1b}'), "{lines}");
    }

    #[test]
    fn other_lines_are_single() {
        let lines = written(|| tracing::info!(name = "a\nb", "started"));
        assert!(lines.ends_with("INFO started name=\"a\\nb\"\n"), "{lines}");
    }
}
