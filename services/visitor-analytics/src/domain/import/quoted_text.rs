//! Splits the fields of a log line and undoes the escapes of quoted ones.

/// A field of a log line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum LogField<'a> {
    Quoted(String),
    Plain(&'a str),
}

/// A quote that is not closed: the line was cut off.
#[derive(Clone, Copy, Debug)]
pub(super) struct UnclosedQuote;

/// Splits the next field from what follows; `None` at the end of the line.
pub(super) fn split_field(text: &str) -> Result<Option<(LogField<'_>, &str)>, UnclosedQuote> {
    let text = trim_blanks(text);
    if text.is_empty() {
        return Ok(None);
    }
    if text.starts_with('"') {
        let (value, rest) = split_quoted(text).ok_or(UnclosedQuote)?;
        return Ok(Some((LogField::Quoted(value), rest)));
    }
    let end = text.find(is_blank).unwrap_or(text.len());
    Ok(Some((LogField::Plain(&text[..end]), &text[end..])))
}

/// Splits a quoted text from what follows. A backslash escapes: `\"`, `\\`, `\t`, and bytes as
/// `\x41`. Some servers do not escape quotes, so a quote only closes the text before a blank or the
/// end of the line.
pub(super) fn split_quoted(text: &str) -> Option<(String, &str)> {
    let text = trim_blanks(text).strip_prefix('"')?;
    let bytes = text.as_bytes();
    let mut place = 0;
    loop {
        match bytes.get(place)? {
            b'\\' => place += 2,
            b'"' if matches!(bytes.get(place + 1), None | Some(b' ' | b'\t')) => break,
            _ => place += 1,
        }
    }
    Some((unescape(text.get(..place)?), text.get(place + 1..)?))
}

/// Undoes escapes. Bytes that are not UTF-8 become U+FFFD.
pub(super) fn unescape(text: &str) -> String {
    if !text.contains('\\') {
        return text.to_owned();
    }
    let mut value = vec![];
    let mut rest = text.as_bytes();
    loop {
        rest = match rest {
            [] => break,
            [b'\\', b'x', high, low, tail @ ..] if hex_byte(*high, *low).is_some() => {
                value.extend(hex_byte(*high, *low));
                tail
            }
            [b'\\', b't' | b'n' | b'r' | b'v' | b'b', tail @ ..] => {
                value.push(b' ');
                tail
            }
            [b'\\', escaped, tail @ ..] => {
                value.push(*escaped);
                tail
            }
            [byte, tail @ ..] => {
                value.push(*byte);
                tail
            }
        };
    }
    String::from_utf8_lossy(&value).into_owned()
}

fn hex_byte(high: u8, low: u8) -> Option<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    u8::try_from(digit(high)? * 16 + digit(low)?).ok()
}

pub(super) fn is_blank(character: char) -> bool {
    matches!(character, ' ' | '\t')
}

pub(super) fn trim_blanks(text: &str) -> &str {
    text.trim_start_matches(is_blank)
}
