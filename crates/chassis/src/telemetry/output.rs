//! Writes log lines to standard output and adds the ids of the current request.

use std::io::{self, Write};

use tracing_subscriber::fmt::MakeWriter;

use crate::request::{self, RequestContext};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LogFormat {
    Text,
    /// One JSON object per line.
    Json,
}

/// Standard output. Each write is one complete line, with the lines of its text on a terminal.
#[derive(Clone, Copy, Debug)]
pub(super) struct LogOutput {
    format: LogFormat,
}

impl LogOutput {
    pub(super) const fn new(format: LogFormat) -> Self {
        Self { format }
    }
}

impl<'a> MakeWriter<'a> for LogOutput {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        *self
    }
}

impl Write for LogOutput {
    /// A line that cannot be written (full disk, closed pipe) is counted and dropped.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let complete = request::with_current(|context| append_ids(line, context, self.format));
        let complete = complete.as_deref().unwrap_or(line);
        if io::stdout().lock().write_all(complete).is_err() {
            metrics::counter!("log_lines_dropped_total").increment(1);
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Appends the id of the request, and of its trace if there is one, to the first line.
fn append_ids(line: &[u8], context: &RequestContext, format: LogFormat) -> Vec<u8> {
    let end = line.iter().position(|byte| *byte == b'\n');
    let (line, below) = end.map_or((line, &[][..]), |end| (&line[..end], &line[end + 1..]));
    let mut text = line.trim_ascii_end();
    if format == LogFormat::Json {
        text = text.strip_suffix(b"}").unwrap_or(text);
    }
    let ids = [
        ("request_id", context.id.to_str().ok()),
        ("trace_id", context.trace_id()),
    ];
    let mut complete = text.to_vec();
    for (name, id) in ids {
        let Some(id) = id else { continue };
        let field = match format {
            LogFormat::Text => format!(" {name}={id}"),
            LogFormat::Json => format!(",\"{name}\":{}", serde_json::Value::from(id)),
        };
        complete.extend_from_slice(field.as_bytes());
    }
    complete.extend_from_slice(if format == LogFormat::Json {
        b"}\n"
    } else {
        b"\n"
    });
    complete.extend_from_slice(below);
    complete
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_names_its_request_and_trace() {
        let trace = "0af7651916cd43dd8448eb211c80319c";
        let context =
            RequestContext::for_test("a\"b", Some(&format!("00-{trace}-b7ad6b7169203331-01")));
        let line = append_ids(b"{\"message\":\"x\"}\n", &context, LogFormat::Json);
        let line: serde_json::Value = serde_json::from_slice(&line).unwrap();
        let expected = serde_json::json!({"message": "x", "request_id": "a\"b", "trace_id": trace});
        assert_eq!(line, expected);
        let line = append_ids(b"INFO x\n", &context, LogFormat::Text);
        let expected = format!("INFO x request_id=a\"b trace_id={trace}\n");
        assert_eq!(String::from_utf8(line).unwrap(), expected);
        let line = append_ids(b"INFO x\n    text\n", &context, LogFormat::Text);
        let line = String::from_utf8(line).unwrap();
        assert!(
            line.ends_with(&format!("trace_id={trace}\n    text\n")),
            "{line}"
        );
    }

    #[test]
    fn a_trace_context_that_is_none_is_left_out() {
        for wrong in ["", "00-0af7\",\"level\":\"x-1-01", "00-ZZ", "no"] {
            let context = RequestContext::for_test("a", Some(wrong));
            assert_eq!(context.trace_id(), None, "{wrong}");
        }
    }
}
