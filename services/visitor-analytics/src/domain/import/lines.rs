//! A file in pieces, line by line.

/// The longest line; longer ones are none.
pub const MAX_LINE_BYTES: usize = 65_536;

/// A line of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DecodedLine {
    /// Its text, without its end.
    Text(String),
    /// It is longer than [`MAX_LINE_BYTES`], or no UTF-8.
    Unreadable,
}

/// Gathers pieces, and gives lines.
#[derive(Debug, Default)]
pub struct LineDecoder {
    pieces: Vec<u8>,
    /// Where the next line begins.
    start: usize,
    /// Whether a line that is too long goes on.
    is_too_long: bool,
}

impl LineDecoder {
    /// Adds a piece. The lines before it should have been taken.
    pub fn add(&mut self, piece: &[u8]) {
        self.pieces.drain(..self.start);
        self.start = 0;
        self.pieces.extend_from_slice(piece);
    }

    /// The next line that is complete.
    pub fn take(&mut self) -> Option<DecodedLine> {
        let rest = &self.pieces[self.start..];
        let Some(length) = rest.iter().position(|byte| *byte == b'\n') else {
            if rest.len() > MAX_LINE_BYTES {
                self.is_too_long = true;
                self.start = self.pieces.len();
            }
            return None;
        };
        let text = &rest[..length];
        let line = line(text, std::mem::take(&mut self.is_too_long));
        self.start += length + 1;
        Some(line)
    }

    /// What follows the last end of a line.
    #[must_use]
    pub fn last(self) -> Option<DecodedLine> {
        let rest = &self.pieces[self.start..];
        (!rest.is_empty() || self.is_too_long).then(|| line(rest, self.is_too_long))
    }
}

fn line(text: &[u8], is_too_long: bool) -> DecodedLine {
    let text = text.strip_suffix(b"\r").unwrap_or(text);
    match std::str::from_utf8(text) {
        Ok(text) if !is_too_long && text.len() <= MAX_LINE_BYTES => {
            DecodedLine::Text(text.to_owned())
        }
        _ => DecodedLine::Unreadable,
    }
}
