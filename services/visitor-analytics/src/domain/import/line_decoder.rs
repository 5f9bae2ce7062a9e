//! Splits a stream of bytes into lines. A byte order mark at the beginning is left out.

/// Maximum length of a line; longer lines are rejected.
pub const MAX_LINE_BYTES: usize = 65_536;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DecodedLine {
    /// The text without the line end.
    Text(String),
    /// The line is longer than [`MAX_LINE_BYTES`] or not UTF-8.
    Unreadable,
}

/// Buffers bytes and returns lines.
#[derive(Debug, Default)]
pub struct LineDecoder {
    buffer: Vec<u8>,
    /// The start of the next line in `buffer`.
    start: usize,
    /// Whether the current line is too long already.
    is_too_long: bool,
    /// Whether a line was returned.
    has_begun: bool,
}

/// The byte order mark of UTF-8.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

impl LineDecoder {
    /// Adds bytes. Call [`Self::next_line`] until it returns `None` first.
    pub fn push(&mut self, piece: &[u8]) {
        self.buffer.drain(..self.start);
        self.start = 0;
        self.buffer.extend_from_slice(piece);
    }

    /// Returns the next complete line.
    pub fn next_line(&mut self) -> Option<DecodedLine> {
        let rest = &self.buffer[self.start..];
        let Some(length) = rest.iter().position(|byte| *byte == b'\n') else {
            if rest.len() > MAX_LINE_BYTES {
                self.is_too_long = true;
                self.start = self.buffer.len();
            }
            return None;
        };
        let text = strip_mark(&rest[..length], self.has_begun);
        self.has_begun = true;
        let line = decode_line(text, std::mem::take(&mut self.is_too_long));
        self.start += length + 1;
        Some(line)
    }

    /// Returns the text after the last line end.
    #[must_use]
    pub fn finish(self) -> Option<DecodedLine> {
        let rest = &self.buffer[self.start..];
        let rest = strip_mark(rest, self.has_begun);
        (!rest.is_empty() || self.is_too_long).then(|| decode_line(rest, self.is_too_long))
    }
}

fn strip_mark(text: &[u8], has_begun: bool) -> &[u8] {
    let mark = text.strip_prefix(BYTE_ORDER_MARK);
    mark.filter(|_| !has_begun).unwrap_or(text)
}

fn decode_line(text: &[u8], is_too_long: bool) -> DecodedLine {
    let text = text.strip_suffix(b"\r").unwrap_or(text);
    match std::str::from_utf8(text) {
        Ok(text) if !is_too_long && text.len() <= MAX_LINE_BYTES => {
            DecodedLine::Text(text.to_owned())
        }
        _ => DecodedLine::Unreadable,
    }
}
