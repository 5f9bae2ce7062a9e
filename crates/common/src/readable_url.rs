//! Hosts and paths as people read them: internationalized names and percent-encoded characters are
//! decoded where this is safe.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

/// Decodes a path for display: `/sch%C3%B6n` becomes `/schön`. Only letters and other visible
/// characters outside of ASCII are decoded, so that the text still stands for the same page.
/// Delimiters, blanks, invisible characters and bytes that are not UTF-8 stay encoded.
#[must_use]
pub fn readable_path(path: &str) -> Cow<'_, str> {
    if !path.contains('%') {
        return Cow::Borrowed(path);
    }
    let mut readable = String::with_capacity(path.len());
    let mut rest = path;
    while let Some(start) = rest.find('%') {
        readable.push_str(&rest[..start]);
        let encoded = encoded_prefix(&rest[start..]);
        if encoded.is_empty() {
            readable.push('%');
            rest = &rest[start + 1..];
        } else {
            push_decoded(&mut readable, encoded);
            rest = &rest[start + encoded.len()..];
        }
    }
    readable.push_str(rest);
    Cow::Owned(readable)
}

/// The longest prefix that consists of `%XX`.
fn encoded_prefix(text: &str) -> &str {
    let is_escape = |part: &[u8]| matches!(part, [b'%', high, low] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit());
    let escapes = text.as_bytes().chunks(3).take_while(|part| is_escape(part));
    &text[..escapes.count() * 3]
}

/// Appends a sequence of `%XX`, decoded as far as it is visible text.
fn push_decoded(readable: &mut String, encoded: &str) {
    let bytes: Vec<u8> = percent_decode_str(encoded).collect();
    let mut at = 0;
    for chunk in bytes.utf8_chunks() {
        for character in chunk.valid().chars() {
            let length = character.len_utf8();
            if is_readable(character) {
                readable.push(character);
            } else {
                readable.push_str(&encoded[at * 3..(at + length) * 3]);
            }
            at += length;
        }
        let invalid = chunk.invalid().len();
        readable.push_str(&encoded[at * 3..(at + invalid) * 3]);
        at += invalid;
    }
}

/// Whether a character of a path may be shown: not in ASCII, where encoding matters, and neither
/// invisible nor able to change how other text is shown.
fn is_readable(character: char) -> bool {
    !character.is_ascii()
        && !character.is_control()
        && !character.is_whitespace()
        && !is_invisible(character)
}

/// Format characters, variation selectors, private use and noncharacters (Unicode categories Cf,
/// Co and Cn as far as they are common), and fillers.
fn is_invisible(character: char) -> bool {
    matches!(u32::from(character),
        0xad | 0x34f | 0x61c | 0x115f..=0x1160 | 0x17b4..=0x17b5 | 0x180b..=0x180f
        | 0x200b..=0x200f | 0x2028..=0x202f | 0x205f..=0x206f | 0x2800 | 0x3164
        | 0xe000..=0xf8ff | 0xfdd0..=0xfdef | 0xfe00..=0xfe0f | 0xfeff | 0xffa0
        | 0xfff0..=0xfffb | 0xfffe..=0xffff | 0x1d173..=0x1d17a | 0xe0000..=0x10_ffff)
}

/// Decodes an internationalized host for display: `xn--e1afmkfd.xn--p1ai` becomes `пример.рф`. The
/// name stays in ASCII if a label mixes scripts or can be taken for another name (the rules of
/// browsers: UTS #39, restriction level "highly restrictive", without whole-script confusables).
#[must_use]
pub fn readable_host(host: &str) -> Cow<'_, str> {
    let has_encoded_label = host.split('.').any(|label| label.starts_with("xn--"));
    if !has_encoded_label {
        return Cow::Borrowed(host);
    }
    let (decoded, result) = idna::domain_to_unicode(host);
    if result.is_err() {
        return Cow::Borrowed(host);
    }
    let has_ascii_ending = decoded.rsplit('.').next().is_some_and(str::is_ascii);
    let is_safe = |label: &str| is_safe_label(label, has_ascii_ending);
    if decoded.split('.').all(is_safe) {
        Cow::Owned(decoded)
    } else {
        Cow::Borrowed(host)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Script {
    Latin,
    Greek,
    Cyrillic,
    Han,
    Kana,
    Hangul,
    Bopomofo,
    /// Another script; the number is the block of 128 code points.
    Other(u32),
}

/// The script of a letter; `None` for characters that all scripts share.
fn script_of(character: char) -> Option<Script> {
    let code = u32::from(character);
    Some(match code {
        0..0x80 if !character.is_ascii_alphabetic() => return None,
        0x300..=0x36f => return None,
        0..0x250 | 0x1e00..=0x1eff => Script::Latin,
        0x370..=0x3ff | 0x1f00..=0x1fff => Script::Greek,
        0x400..=0x52f => Script::Cyrillic,
        0x3005..=0x3007 | 0x3400..=0x4dbf | 0x4e00..=0x9fff | 0x2_0000..=0x3_ffff => Script::Han,
        0x3041..=0x30ff | 0x31f0..=0x31ff => Script::Kana,
        0x1100..=0x11ff | 0x3131..=0x318e | 0xac00..=0xd7a3 => Script::Hangul,
        0x3105..=0x312f => Script::Bopomofo,
        code => Script::Other(code / 128),
    })
}

fn is_safe_label(label: &str, has_ascii_ending: bool) -> bool {
    if label.is_ascii() {
        return true;
    }
    if label.chars().any(|c| is_invisible(c) || c.is_whitespace()) {
        return false;
    }
    let mut scripts: Vec<Script> = vec![];
    for script in label.chars().filter_map(script_of) {
        if !scripts.contains(&script) {
            scripts.push(script);
        }
    }
    let is_within = |allowed: &[Script]| scripts.iter().all(|script| allowed.contains(script));
    // Cyrillic and Greek letters that look like Latin ones are a whole name only in their own
    // top-level domains.
    let looks_latin = |c: char| c.is_ascii() || LATIN_LOOKALIKES.contains(c);
    if has_ascii_ending
        && is_within(&[Script::Cyrillic, Script::Greek])
        && label.chars().all(looks_latin)
    {
        return false;
    }
    scripts.len() <= 1
        || is_within(&[Script::Latin, Script::Han, Script::Kana])
        || is_within(&[Script::Latin, Script::Han, Script::Bopomofo])
        || is_within(&[Script::Latin, Script::Han, Script::Hangul])
}

/// Cyrillic and Greek letters that look like Latin letters in most fonts (Unicode's
/// confusables.txt).
const LATIN_LOOKALIKES: &str = "асԁеһіјӏорԛѕԝхуъьҽпгѵѡвкмнтαικνορτυχωϲγ";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_decoded_where_they_stay_the_same_page() {
        for (path, readable) in [
            ("/danke/sch%C3%B6n", "/danke/schön"),
            ("/%D1%81%D1%82%D1%80", "/стр"),
            ("/a%2Fb%3F%23%25%20c", "/a%2Fb%3F%23%25%20c"),
            ("/%F0%9F%98%80", "/😀"),
            ("/%FFa%C3", "/%FFa%C3"),
            ("/100%", "/100%"),
            ("/%zz%C3%B6", "/%zzö"),
            ("/a%E2%80%AEb", "/a%E2%80%AEb"),
            ("/a%E2%80%8Bb%C2%A0", "/a%E2%80%8Bb%C2%A0"),
            ("/%C3%B6%2F%C3%B6", "/ö%2Fö"),
            ("/plain", "/plain"),
        ] {
            assert_eq!(readable_path(path), readable, "{path}");
        }
    }

    #[test]
    fn hosts_are_decoded_unless_they_look_like_others() {
        let host = |name: &str| {
            let (ascii, _) = (idna::domain_to_ascii(name).unwrap(), ());
            readable_host(&ascii).into_owned()
        };
        for name in [
            "пример.рф",
            "bücher.example",
            "日本語のx.jp",
            "한국.kr",
            "ελλάδα.gr",
            "правда.com",
            "shop.example",
            "www.münchen.de",
        ] {
            assert_eq!(host(name), name);
        }
        for name in ["аррӏе.com", "pаypal.com", "gооgle.example", "ѕсоре.com"] {
            assert!(host(name).starts_with("xn--"), "{name}");
        }
        assert_eq!(readable_host("xn--"), "xn--");
    }
}
