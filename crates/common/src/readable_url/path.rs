use std::borrow::Cow;

use icu_properties::props::{DefaultIgnorableCodePoint, GeneralCategory};
use icu_properties::{CodePointMapData, CodePointSetData};

/// Decodes the percent-encoded characters of a path that are readable: valid UTF-8 without control,
/// bidirectional, invisible or unassigned characters and spaces.
///
/// The structure of the path stays visible: characters that have a meaning in URLs or must be
/// encoded in them (such as `%2F`, `%25`, `%3F`, `%21` and `%20`) stay encoded.
#[must_use]
pub fn readable_path(path: &str) -> Cow<'_, str> {
    if !path.contains('%') {
        return Cow::Borrowed(path);
    }
    let mut readable = String::with_capacity(path.len());
    let mut rest = path;
    while let Some(start) = rest.find('%') {
        let (before, encoded) = rest.split_at(start);
        readable.push_str(before);
        let end = match decode_first(encoded) {
            Some((c, end)) if is_readable(c, &readable) => {
                readable.push(c);
                end
            }
            Some((_, end)) => {
                readable.push_str(&encoded[..end]);
                end
            }
            None => {
                readable.push('%');
                1
            }
        };
        rest = &encoded[end..];
    }
    readable.push_str(rest);
    if readable == path {
        Cow::Borrowed(path)
    } else {
        Cow::Owned(readable)
    }
}

/// Decodes the character whose bytes are encoded at the start, and returns it with the length of
/// its encoded form. `None` if they are no valid UTF-8.
fn decode_first(encoded: &str) -> Option<(char, usize)> {
    let mut utf8 = [0; 4];
    let mut pairs = encoded.as_bytes().chunks_exact(3).map_while(|escape| {
        let [b'%', high, low] = *escape else {
            return None;
        };
        Some(hex_digit(high)? << 4 | hex_digit(low)?)
    });
    let first = pairs.next()?;
    let length = match first {
        0x00..=0x7f => 1,
        0xc2..=0xdf => 2,
        0xe0..=0xef => 3,
        0xf0..=0xf4 => 4,
        _ => return None,
    };
    utf8[0] = first;
    for byte in &mut utf8[1..length] {
        *byte = pairs.next()?;
    }
    let text = str::from_utf8(&utf8[..length]).ok()?;
    Some((text.chars().next()?, 3 * length))
}

fn hex_digit(digit: u8) -> Option<u8> {
    char::from(digit)
        .to_digit(16)
        .and_then(|value| u8::try_from(value).ok())
}

fn is_readable(c: char, before: &str) -> bool {
    if c.is_ascii_hexdigit() && ends_in_escape(before) {
        return false;
    }
    if c.is_ascii() {
        return c.is_ascii_alphanumeric() || "-._~[]|".contains(c);
    }
    if CodePointSetData::new::<DefaultIgnorableCodePoint>().contains(c) {
        return false;
    }
    match general_category(c) {
        GeneralCategory::Control
        | GeneralCategory::Format
        | GeneralCategory::Surrogate
        | GeneralCategory::PrivateUse
        | GeneralCategory::Unassigned
        | GeneralCategory::SpaceSeparator
        | GeneralCategory::LineSeparator
        | GeneralCategory::ParagraphSeparator => false,
        // A mark changes the character before it, which must not be a separator of the path.
        category if is_mark(category) => before.chars().next_back().is_some_and(|previous| {
            previous.is_alphanumeric() || is_mark(general_category(previous))
        }),
        _ => true,
    }
}

/// Whether another hexadecimal digit would complete a stray `%` to an escape.
fn ends_in_escape(before: &str) -> bool {
    let mut last = before.bytes().rev();
    match last.next() {
        Some(b'%') => true,
        Some(digit) => digit.is_ascii_hexdigit() && last.next() == Some(b'%'),
        None => false,
    }
}

fn general_category(c: char) -> GeneralCategory {
    CodePointMapData::<GeneralCategory>::new().get(c)
}

fn is_mark(category: GeneralCategory) -> bool {
    matches!(
        category,
        GeneralCategory::NonspacingMark
            | GeneralCategory::SpacingMark
            | GeneralCategory::EnclosingMark
    )
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use super::readable_path;

    #[test]
    fn letters_of_all_scripts_are_decoded() {
        for (path, readable) in [
            (
                "/%D1%81%D1%82%D1%80%D0%B0%D0%BD%D0%B8%D1%86%D0%B0",
                "/страница",
            ),
            ("/danke/sch%c3%b6n", "/danke/schön"),
            ("/%E6%97%A5%E6%9C%AC/", "/日本/"),
            ("/%F0%9F%91%8B", "/👋"),
            ("/e%CC%81t%C3%A9", "/e\u{301}té"),
            ("/%E0%A4%B9%E0%A4%BF", "/हि"),
            ("/a%28b%29%2Dc%41", "/a%28b%29-cA"),
        ] {
            assert_eq!(readable_path(path), readable);
        }
    }

    #[test]
    fn what_has_a_meaning_or_is_not_seen_stays_encoded() {
        for path in [
            "/",
            "/plain",
            "/a%2Fb%2fc%25d%3Fe%23f%20g",
            "/%00%0A%1B%7F%C2%85",
            "/%3Cb%3E%22%5C%60%7B%7D",
            "/%E2%80%AEgpj%E2%80%8B%E2%81%A6",
            "/%EF%BB%BF%C2%AD%E3%80%80%C2%A0%E2%80%A8",
            "/%CC%B8x",
            "/%EE%80%80%F3%A0%81%81",
        ] {
            assert!(
                matches!(readable_path(path), Cow::Borrowed(same) if same == path),
                "{path}"
            );
        }
    }

    #[test]
    fn what_is_no_utf8_is_unchanged() {
        for path in [
            "/%",
            "/%4",
            "/%zz",
            "/%FF",
            "/%C3",
            "/%C3%",
            "/%C3x",
            "/%C3%28",
            "/%C0%AF",
            "/%ED%A0%80",
            "/%F4%90%80%80",
            "/%+1",
            "/%C3é",
        ] {
            let shown = readable_path(path);
            // A byte that starts no character may be followed by an ASCII escape.
            assert!(
                shown == path || path == "/%C3%28" && shown == "/%C3(",
                "{path}: {shown}"
            );
        }
        assert_eq!(readable_path("/%%D1%81%D1"), "/%с%D1");
        // No new escape appears.
        assert_eq!(readable_path("/%%34%31"), "/%%341");
        assert_eq!(readable_path("/%4%31"), "/%4%31");
    }
}
