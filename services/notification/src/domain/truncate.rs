//! Shortens texts between characters as people see them.

use unicode_segmentation::UnicodeSegmentation as _;

/// Length of an escape such as `%D1`.
const ESCAPE_CHARS: usize = 3;

/// Returns the longest start of the text with at most `most` characters that splits neither a
/// grapheme, such as a letter with its marks or an emoji of several characters, nor a
/// percent-encoded character. A grapheme that alone exceeds the limit is split.
#[must_use]
pub fn truncate_chars(text: &str, most: usize) -> &str {
    let Some((limit, _)) = text.char_indices().nth(most) else {
        return text;
    };
    let boundaries = text.grapheme_indices(true).map(|(at, _)| at);
    let end = boundaries.take_while(|at| *at <= limit).last().unwrap_or(0);
    match start_of_escape(text, end) {
        0 => &text[..limit],
        end => &text[..end],
    }
}

/// Moves `end` before a percent-encoded character that it would split.
fn start_of_escape(text: &str, end: usize) -> usize {
    let bytes = text.as_bytes();
    let escape = |at: usize| match bytes.get(at..at + ESCAPE_CHARS) {
        Some([b'%', high, low]) if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
            Some((*high, *low))
        }
        _ => None,
    };
    let inside = (1..ESCAPE_CHARS).filter_map(|back| end.checked_sub(back));
    let mut start = inside
        .into_iter()
        .find(|at| escape(*at).is_some())
        .unwrap_or(end);
    // 80 to BF continue a character of UTF-8, which has at most four bytes.
    let is_continuation = |at: usize| {
        matches!(
            escape(at),
            Some((b'8' | b'9' | b'a' | b'b' | b'A' | b'B', _))
        )
    };
    for _ in 0..3 {
        match start.checked_sub(ESCAPE_CHARS) {
            Some(before) if is_continuation(start) && escape(before).is_some() => start = before,
            _ => break,
        }
    }
    start
}

#[cfg(test)]
mod tests {
    use super::truncate_chars;

    #[test]
    fn nothing_is_cut_in_the_middle() {
        for (text, most, cut) in [
            ("short", 5, "short"),
            ("longer", 4, "long"),
            ("cafe\u{301}s", 4, "caf"),
            ("cafe\u{301}s", 5, "cafe\u{301}"),
            ("a👩\u{200d}👩\u{200d}👧b", 4, "a"),
            ("a👩\u{200d}👩\u{200d}👧b", 6, "a👩\u{200d}👩\u{200d}👧"),
            ("👋🏽!", 1, "👋"),
            ("🇩🇪🇫🇷", 3, "🇩🇪"),
            ("/%D1%81%D1%82", 7, "/%D1%81"),
            ("/%D1%81%D1%82", 8, "/%D1%81"),
            ("/%D1%81%D1%82", 9, "/%D1%81"),
            ("/%D1%81%D1%82", 10, "/%D1%81"),
            ("/%D1%81%D1%82", 12, "/%D1%81"),
            ("/%F0%9F%91%8B!", 10, "/"),
            ("/a%2Fb%2F", 8, "/a%2Fb"),
            ("100%", 3, "100"),
            ("e\u{301}\u{302}\u{303}", 2, "e\u{301}"),
            ("abc", 0, ""),
        ] {
            assert_eq!(truncate_chars(text, most), cut, "{text} {most}");
        }
    }
}
