//! Repairs JSON with escapes of lone surrogates, such as `"cut \ud83d"`.
//!
//! JavaScript and Python write such escapes for a text that was cut inside an emoji. They stand for
//! no character, so JSON parsers refuse the whole document (RFC 8259 §8.2).

use std::borrow::Cow;

use memchr::memchr;

/// Length of an escape such as `\ud83d`.
const ESCAPE_BYTES: usize = 6;
/// The replacement character, with the same length.
const REPLACEMENT: &[u8; ESCAPE_BYTES] = br"\ufffd";

/// Replaces the escapes of unpaired surrogates by U+FFFD. Other bytes keep their value and
/// position. Returns the input if there is nothing to replace.
#[must_use]
pub fn replace_lone_surrogates(json: &[u8]) -> Cow<'_, [u8]> {
    let mut replaced = Cow::Borrowed(json);
    let mut at = 0;
    while let Some(found) = json.get(at..).and_then(|rest| memchr(b'\\', rest)) {
        let start = at + found;
        let is_lone = match escaped_unit(json, start) {
            Some(0xd800..=0xdbff) => {
                let next = escaped_unit(json, start + ESCAPE_BYTES);
                !matches!(next, Some(0xdc00..=0xdfff))
            }
            Some(0xdc00..=0xdfff) => true,
            // The character after a backslash starts no escape, even if it is a backslash.
            _ => {
                at = start + 2;
                continue;
            }
        };
        if is_lone {
            replaced.to_mut()[start..start + ESCAPE_BYTES].copy_from_slice(REPLACEMENT);
            at = start + ESCAPE_BYTES;
        } else {
            at = start + 2 * ESCAPE_BYTES;
        }
    }
    replaced
}

/// The UTF-16 code unit of an escape at `start`.
fn escaped_unit(json: &[u8], start: usize) -> Option<u16> {
    let escape = json.get(start..start + ESCAPE_BYTES)?;
    let digits = escape.strip_prefix(br"\u")?;
    digits.iter().try_fold(0, |unit, digit| {
        let digit = char::from(*digit).to_digit(16)?;
        Some(unit << 4 | u16::try_from(digit).ok()?)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(json: &[u8]) -> String {
        serde_json::from_slice(&replace_lone_surrogates(json)).unwrap()
    }

    #[test]
    fn only_unpaired_surrogates_are_replaced() {
        for (json, text) in [
            (r#""cut \ud83d""#, "cut \u{fffd}"),
            (r#""\uDE00 first""#, "\u{fffd} first"),
            (r#""\ud83d\ude00""#, "\u{1f600}"),
            (r#""\ud83d\ud83d\ude00""#, "\u{fffd}\u{1f600}"),
            (r#""\ude00\ud83d""#, "\u{fffd}\u{fffd}"),
            (r#""\\ud83d""#, r"\ud83d"),
            (r#""\\\ud83d""#, "\\\u{fffd}"),
            (r#""\ud83d\\ude00""#, "\u{fffd}\\ude00"),
            (r#""\ud83d\n""#, "\u{fffd}\n"),
            (r#""\ud7ff\ue000""#, "\u{d7ff}\u{e000}"),
        ] {
            assert_eq!(decode(json.as_bytes()), text, "{json}");
        }
        let good = br#"{"a": "b\u00e9\\ud83d"}"#;
        assert!(matches!(replace_lone_surrogates(good), Cow::Borrowed(_)));
        for broken in [
            r"\",
            r"\u",
            r"\ud8",
            r"\ud83",
            r"\ud83d\",
            r"\ud83d\u",
            r"\uzzzz",
        ] {
            let repaired = replace_lone_surrogates(broken.as_bytes());
            assert!(repaired.len() <= broken.len() + 3, "{broken}");
        }
    }

    /// Texts of random escapes mean the same as their UTF-16 units, decoded with replacement.
    #[test]
    fn random_texts_keep_their_meaning() {
        let parts: [(&str, &[u16]); 12] = [
            (r"\ud83d", &[0xd83d]),
            (r"\uDBFF", &[0xdbff]),
            (r"\ude00", &[0xde00]),
            (r"\uDC00", &[0xdc00]),
            (r"\\", &[0x5c]),
            (r"\n", &[0x0a]),
            (r#"\""#, &[0x22]),
            (r"\u00e9", &[0xe9]),
            ("ud83d", &[0x75, 0x64, 0x38, 0x33, 0x64]),
            ("u", &[0x75]),
            ("é", &[0xe9]),
            ("😀", &[0xd83d, 0xde00]),
        ];
        let mut state = 1_u64;
        let mut random = |below: usize| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            usize::try_from(state >> 33).unwrap() % below
        };
        for _ in 0..20_000 {
            let mut json = String::from("\"");
            let mut expected = String::new();
            let mut units: Vec<u16> = vec![];
            for _ in 0..random(9) {
                let (escape, more) = parts[random(parts.len())];
                json += escape;
                if escape.is_ascii() {
                    units.extend(more);
                } else {
                    // A literal character does not pair with an escape.
                    expected += &String::from_utf16_lossy(&std::mem::take(&mut units));
                    expected += escape;
                }
            }
            expected += &String::from_utf16_lossy(&units);
            json.push('"');
            assert_eq!(decode(json.as_bytes()), expected, "{json}");
        }
    }
}
