//! Text that stands in a message as it was written.

/// The text without characters that are not seen and change how the rest is: control characters
/// but tabs and line breaks, and those that turn the direction of writing.
#[must_use]
pub fn printable(text: &str) -> String {
    text.chars().filter(|c| !is_hidden(*c)).collect()
}

fn is_hidden(c: char) -> bool {
    let turns_direction = matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    turns_direction || (c.is_control() && !matches!(c, '\t' | '\n'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_seen_is_left_out() {
        let text = "a\tb\r\nc\u{1b}[2J\u{202e}d\u{2066}e\u{0}\u{85}";
        assert_eq!(printable(text), "a\tb\nc[2Jde");
    }
}
