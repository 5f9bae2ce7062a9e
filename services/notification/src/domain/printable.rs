//! Removes invisible characters from texts.

/// Removes control characters except tab and line feed, and bidirectional formatting characters,
/// which change how the rest of the text is displayed.
#[must_use]
pub fn strip_hidden_chars(text: &str) -> String {
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
        assert_eq!(strip_hidden_chars(text), "a\tb\nc[2Jde");
    }
}
