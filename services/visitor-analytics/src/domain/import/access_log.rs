//! Parses access logs in the common and combined formats (Apache httpd, `mod_log_config`; nginx,
//! `log_format combined`; Jetty, lighttpd, ingress-nginx, Traefik):
//! `[host] address identity user [time] "request" status bytes "referrer" "user agent" …`.

use chrono::{DateTime, Utc};

use super::address_fields::parse_address_fields;
use super::log_time::parse_log_time;
use super::logged_request::{LoggedRequest, RequestLine, given};
use super::parsed_line::LineParseError;
use super::quoted_text::{LogField, UnclosedQuote, split_field, split_quoted, trim_blanks};

/// Maximum length of a time in brackets.
const MAX_TIME_BYTES: usize = 40;

/// Parses a line; `format` names the format in the error.
pub(super) fn parse_line(
    line: &str,
    format: &'static str,
) -> Result<LoggedRequest, LineParseError> {
    let invalid = || LineParseError::InvalidLogLine(format);
    let (before, time, rest) = split_at_time(line, format)?;
    let fields = parse_address_fields(before)?;
    let (request, rest) = split_quoted(rest).ok_or_else(invalid)?;
    let (status, rest) = split_field(rest).ok().flatten().ok_or_else(invalid)?;
    let status = match status {
        LogField::Plain("-") => 0,
        LogField::Plain(status) if status.len() == 3 => status
            .parse()
            .map_err(|_| LineParseError::InvalidField("status_code"))?,
        _ => return Err(LineParseError::InvalidField("status_code")),
    };
    let (referrer, user_agent) = referrer_and_user_agent(rest).map_err(|_| invalid())?;
    Ok(LoggedRequest {
        time,
        ip: fields.ip,
        line: RequestLine::parse(&request),
        host: fields.host,
        status,
        referrer: referrer.and_then(given),
        user_agent: user_agent.and_then(given),
        user: fields.user,
    })
}

/// Finds the time in brackets before the request. The user before it may contain brackets.
fn split_at_time<'a>(
    line: &'a str,
    format: &'static str,
) -> Result<(&'a str, DateTime<Utc>, &'a str), LineParseError> {
    let mut error = LineParseError::InvalidLogLine(format);
    for (start, _) in line.match_indices('[') {
        let inner = &line[start + 1..];
        let mut head = inner.bytes().take(MAX_TIME_BYTES);
        let Some(end) = head.position(|byte| byte == b']') else {
            continue;
        };
        let rest = &inner[end + 1..];
        if !trim_blanks(rest).starts_with('"') {
            continue;
        }
        if let Some(time) = parse_log_time(&inner[..end]) {
            return Ok((&line[..start], time, rest));
        }
        error = LineParseError::InvalidTime;
    }
    Err(error)
}

/// The fields after the status: bytes, referrer, user agent, and others that are ignored.
fn referrer_and_user_agent(rest: &str) -> Result<(Option<String>, Option<String>), UnclosedQuote> {
    let mut fields = vec![];
    let mut rest = rest;
    let mut quoted = 0;
    while quoted < 2
        && let Some((field, tail)) = split_field(rest)?
    {
        quoted += usize::from(matches!(field, LogField::Quoted(_)));
        fields.push(field);
        rest = tail;
    }
    let bytes = usize::from(matches!(fields.first(), Some(LogField::Plain(_))));
    // A missing value may be written without quotes. Other plain fields, such as a duration, are
    // neither referrer nor user agent.
    let values = fields
        .into_iter()
        .skip(bytes)
        .filter_map(|field| match field {
            LogField::Quoted(text) => Some(text),
            LogField::Plain("-") => Some("-".to_owned()),
            LogField::Plain(_) => None,
        });
    let values: Vec<String> = values.take(2).collect();
    let mut values = values.into_iter();
    Ok(match (values.next(), values.next()) {
        (Some(agent), None) if agent != "-" && !agent.starts_with("http") => (None, Some(agent)),
        pair => pair,
    })
}
