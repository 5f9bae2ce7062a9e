//! Segments of text messages (3GPP TS 23.038).

use super::truncate::truncate_chars;

/// The basic character set of GSM-7 without the escape character.
const GSM7_BASIC: &str = "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?\
                     ¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà";
/// The extension table of GSM-7; each character takes two units.
const GSM7_EXTENSION: &str = "\u{c}^{}\\[~]|€";

/// The encoding of a text message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SmsEncoding {
    /// 160 units in a single segment, 153 in each of several.
    Gsm7,
    /// 70 units of 16 bits in a single segment, 67 in each of several.
    Ucs2,
}

impl SmsEncoding {
    /// Returns the encoding that a text needs.
    #[must_use]
    pub fn for_text(text: &str) -> Self {
        let gsm = text.chars().all(|c| gsm7_units(c).is_some());
        if gsm { Self::Gsm7 } else { Self::Ucs2 }
    }

    /// The name in the API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Gsm7 => "GSM-7",
            Self::Ucs2 => "UCS-2",
        }
    }

    /// Returns the units in a single segment, and in each of several.
    const fn segment_units(self) -> (usize, usize) {
        match self {
            Self::Gsm7 => (160, 153),
            Self::Ucs2 => (70, 67),
        }
    }

    fn units(self, c: char) -> usize {
        match self {
            Self::Gsm7 => gsm7_units(c).unwrap_or(1),
            Self::Ucs2 => c.len_utf16(),
        }
    }
}

fn gsm7_units(c: char) -> Option<usize> {
    match c {
        ' '..='Z' | 'a'..='z' | '\n' if c != '`' => Some(1),
        c if GSM7_BASIC.contains(c) => Some(1),
        c if GSM7_EXTENSION.contains(c) => Some(2),
        _ => None,
    }
}

/// Counts the segments of a text. A character is never split between two segments.
#[must_use]
pub fn count_segments(text: &str) -> usize {
    let encoding = SmsEncoding::for_text(text);
    let (alone, each) = encoding.segment_units();
    let total: usize = text.chars().map(|c| encoding.units(c)).sum();
    if total <= alone {
        return 1;
    }
    let (mut segments, mut used) = (1, 0);
    for c in text.chars() {
        let units = encoding.units(c);
        if used + units > each {
            segments += 1;
            used = 0;
        }
        used += units;
    }
    segments
}

/// Truncates a text with `...` to at most `most` segments.
#[must_use]
pub fn truncate_to_segments(text: String, most: usize) -> String {
    if count_segments(&text) <= most {
        return text;
    }
    let starts: Vec<_> = text.char_indices().map(|(at, _)| at).collect();
    let cut = |chars: usize| text[..starts[chars]].trim_end().to_owned() + "...";
    // Fewer characters never need more segments.
    let fits = |chars: &usize| count_segments(&cut(*chars)) <= most;
    let all: Vec<_> = (0..starts.len()).collect();
    let fit = all.partition_point(fits).saturating_sub(1);
    truncate_chars(&text, fit).trim_end().to_owned() + "..."
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_of_gsm7_and_ucs2() {
        for (text, expected) in [
            ("a".repeat(160), 1),
            ("a".repeat(161), 2),
            ("a".repeat(306), 2),
            ("a".repeat(307), 3),
            ("€".repeat(80), 1),
            ("€".repeat(81), 2),
            // 152 + 2 do not fit into 153.
            ("a".repeat(152) + "€" + &"a".repeat(151), 2),
            ("a".repeat(152) + "€" + &"a".repeat(152), 3),
            ("ж".repeat(70), 1),
            ("ж".repeat(71), 2),
            ("🙂".repeat(35), 1),
            ("🙂".repeat(36), 2),
            ("ж".repeat(134), 2),
            ("ж".repeat(135), 3),
            (String::new(), 1),
        ] {
            assert_eq!(count_segments(&text), expected, "{text}");
        }
        assert_eq!(SmsEncoding::for_text("Grüße, 5 € {ok}"), SmsEncoding::Gsm7);
        assert_eq!(SmsEncoding::for_text("`"), SmsEncoding::Ucs2);
        assert_eq!(
            GSM7_BASIC
                .chars()
                .filter(|c| gsm7_units(*c) == Some(1))
                .count(),
            127
        );
    }

    #[test]
    fn a_long_text_is_cut_to_its_cap() {
        assert_eq!(truncate_to_segments("short".into(), 1), "short");
        let gsm = truncate_to_segments("word ".repeat(100), 2);
        assert!(gsm.ends_with("...") && count_segments(&gsm) == 2, "{gsm}");
        let ucs = truncate_to_segments("🙂".repeat(500), 1);
        assert_eq!((count_segments(&ucs), ucs.chars().count()), (1, 33 + 3));
        let family = "👩\u{200d}👩\u{200d}👧";
        let cut = truncate_to_segments(family.repeat(20), 1);
        assert_eq!(cut, family.repeat(8) + "...");
    }
}
