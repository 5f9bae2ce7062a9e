//! Splits a stream of bytes into lines.

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
}

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
        let text = &rest[..length];
        let line = decode_line(text, std::mem::take(&mut self.is_too_long));
        self.start += length + 1;
        Some(line)
    }

    /// Returns the text after the last line end.
    #[must_use]
    pub fn finish(self) -> Option<DecodedLine> {
        let rest = &self.buffer[self.start..];
        (!rest.is_empty() || self.is_too_long).then(|| decode_line(rest, self.is_too_long))
    }
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
