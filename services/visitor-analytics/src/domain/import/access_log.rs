//! Parses access logs in the combined format (Apache httpd, `mod_log_config`; nginx,
//! `log_format combined`):
//! `address ident user [time] "request" status bytes "referrer" "user agent"`.

use chrono::{DateTime, Utc};

use super::parsed_line::{LineParseError, ParsedLine};
use crate::domain::visit::SubmittedVisit;

/// Extensions of files that are not page views.
const ASSET_EXTENSIONS: [&str; 25] = [
    "css", "js", "mjs", "map", "png", "jpg", "jpeg", "gif", "svg", "webp", "avif", "ico", "bmp",
    "woff", "woff2", "ttf", "otf", "eot", "mp3", "mp4", "webm", "ogg", "wav", "avi", "mov",
];

pub(super) fn parse_line(line: &str, site: &str) -> Result<ParsedLine, LineParseError> {
    try_parse_line(line, site).ok_or(LineParseError::InvalidLogLine)
}

fn try_parse_line(line: &str, site: &str) -> Option<ParsedLine> {
    let (ip, rest) = line.split_once(' ')?;
    let (_, rest) = rest.split_once(' ')?;
    let (user, rest) = rest.split_once(" [")?;
    let (time, rest) = rest.split_once(']')?;
    let (request, rest) = split_quoted(rest)?;
    let (status, rest) = rest.trim_start().split_once(' ')?;
    let (_, rest) = rest.split_once(' ').unwrap_or((rest, ""));
    let (referrer, rest) = split_quoted(rest)?;
    let (user_agent, _) = split_quoted(rest)?;
    let time = DateTime::parse_from_str(time, "%d/%b/%Y:%H:%M:%S %z").ok()?;
    let status = status.parse().ok()?;
    let Some(path) = page_view_path(&request, status) else {
        return Some(ParsedLine::Skipped);
    };
    let given = |text: String| Some(text).filter(|text| text != "-" && !text.is_empty());
    Some(ParsedLine::Visit(Box::new(SubmittedVisit {
        site: Some(site.to_owned()),
        timestamp: Some(time.with_timezone(&Utc)),
        url: format!("https://{site}{path}"),
        ip: ip.to_owned(),
        user_agent: given(user_agent),
        referrer: given(referrer),
        status_code: Some(status),
        user_id: given(user.to_owned()),
        ..SubmittedVisit::default()
    })))
}

/// The path and query of a page view: a `GET` request for a page that was not redirected.
fn page_view_path(request: &str, status: u16) -> Option<&str> {
    let path = request.strip_prefix("GET ")?;
    let path = path.rsplit_once(" HTTP/").map_or(path, |(path, _)| path);
    let file = path.split(['?', '#']).next()?.rsplit('/').next()?;
    let is_part = file.rsplit_once('.').is_some_and(|(_, extension)| {
        let extension = extension.to_ascii_lowercase();
        ASSET_EXTENSIONS.contains(&extension.as_str())
    });
    let is_elsewhere = matches!(status, 300..=303 | 305..=399);
    (path.starts_with('/') && !is_part && !is_elsewhere).then_some(path)
}

/// Splits a quoted text from what follows. A backslash escapes: `\"`, `\\`, `\t`, and bytes as
/// `\x41`.
fn split_quoted(text: &str) -> Option<(String, &str)> {
    let text = text.trim_start().strip_prefix('"')?;
    let mut value = vec![];
    let mut place = 0;
    loop {
        let byte = *text.as_bytes().get(place)?;
        match byte {
            b'"' => break,
            b'\\' => {
                let (escaped, length) = unescape(text.as_bytes().get(place + 1..)?);
                value.extend(escaped);
                place += length + 1;
            }
            other => {
                value.push(other);
                place += 1;
            }
        }
    }
    let value = String::from_utf8_lossy(&value).into_owned();
    Some((value, text.get(place + 1..)?))
}

/// Returns the byte of an escape sequence, and the length of the sequence after the backslash.
fn unescape(text: &[u8]) -> (Option<u8>, usize) {
    match text {
        [b'x', high, low, ..] => {
            let digit = |byte: u8| char::from(byte).to_digit(16);
            let byte = digit(*high).zip(digit(*low));
            let byte = byte.and_then(|(high, low)| u8::try_from(high * 16 + low).ok());
            (byte, 3)
        }
        [b't' | b'n' | b'r' | b'v', ..] => (Some(b' '), 1),
        [other, ..] => (Some(*other), 1),
        [] => (None, 0),
    }
}
