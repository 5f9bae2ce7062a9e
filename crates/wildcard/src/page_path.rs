//! The normal form of the path of a page, so that each page has one (RFC 3986, section 6.2.2).

use std::borrow::Cow;

/// Normalizes the percent-encoding of a path: characters that need no encoding are decoded, all
/// others are encoded with upper-case digits. `/Caf%c3%a9/%7Eme` and `/Café/~me` both become
/// `/Caf%C3%A9/~me`. An encoded delimiter, such as `%2F`, stays encoded.
#[must_use]
pub fn normalize_path(path: &str) -> Cow<'_, str> {
    let needs_change =
        |byte: u8| byte == b'%' || !(is_unreserved(byte) || is_allowed_delimiter(byte));
    if !path.bytes().any(needs_change) {
        return Cow::Borrowed(path);
    }
    let bytes = path.as_bytes();
    let mut normal = String::with_capacity(path.len() + 16);
    let mut at = 0;
    while at < bytes.len() {
        let (byte, is_literal, length) = decode_at(bytes, at).map_or_else(
            || {
                let byte = bytes[at];
                (byte, is_unreserved(byte) || is_allowed_delimiter(byte), 1)
            },
            |decoded| (decoded, is_unreserved(decoded), 3),
        );
        if is_literal {
            normal.push(char::from(byte));
        } else {
            push_encoded(&mut normal, byte);
        }
        at += length;
    }
    Cow::Owned(normal)
}

/// The byte that `%XX` at this place stands for.
fn decode_at(bytes: &[u8], at: usize) -> Option<u8> {
    let [b'%', high, low] = bytes.get(at..at + 3)? else {
        return None;
    };
    let digit = |byte: u8| char::from(byte).to_digit(16);
    u8::try_from(digit(*high)? * 16 + digit(*low)?).ok()
}

fn push_encoded(text: &mut String, byte: u8) {
    const DIGITS: [u8; 16] = *b"0123456789ABCDEF";
    text.push('%');
    text.push(char::from(DIGITS[usize::from(byte >> 4)]));
    text.push(char::from(DIGITS[usize::from(byte & 15)]));
}

/// RFC 3986, section 2.3.
fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~".contains(&byte)
}

/// The delimiters that a path may contain (RFC 3986, section 3.3).
fn is_allowed_delimiter(byte: u8) -> bool {
    b"/:@!$&'()*+,;=".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_page_has_one_normal_form() {
        for (path, normal) in [
            ("/danke/schön", "/danke/sch%C3%B6n"),
            ("/danke/sch%c3%b6n", "/danke/sch%C3%B6n"),
            ("/%7Eme/%41%2d%5f", "/~me/A-_"),
            ("/a%2Fb%3f%25", "/a%2Fb%3F%25"),
            ("/a|b^c[d] \"e\"", "/a%7Cb%5Ec%5Bd%5D%20%22e%22"),
            ("/a%7cb", "/a%7Cb"),
            ("/100%", "/100%25"),
            ("/%zz%4", "/%25zz%254"),
            ("/a;b=c,d@e:f!$&'()*+", "/a;b=c,d@e:f!$&'()*+"),
            ("/%FF", "/%FF"),
        ] {
            assert_eq!(normalize_path(path), normal, "{path}");
            assert_eq!(normalize_path(normal), normal, "{path} again");
        }
    }
}
