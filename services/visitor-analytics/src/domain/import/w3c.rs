//! Parses W3C extended log files, such as those of IIS and the standard logs of `CloudFront`. The
//! directive `#Fields:` names the fields of the lines that follow.

use super::address_fields::parse_address;
use super::json_log::visitor_address;
use super::log_time::{combine_utc, parse_log_time, parse_utc};
use super::logged_request::{LoggedRequest, RequestLine, given};
use super::parsed_line::LineParseError;

/// What the directives of a file said so far.
#[derive(Clone, Debug, Default)]
pub(super) struct W3cDirectives {
    fields: Vec<String>,
    /// The day of `#Date:`, for lines that only have a time.
    day: Option<String>,
}

impl W3cDirectives {
    /// Reads a directive. Returns whether the line is one.
    pub(super) fn read(&mut self, line: &str) -> bool {
        let Some(directive) = line.strip_prefix('#') else {
            return false;
        };
        let (name, value) = directive.split_once(':').unwrap_or((directive, ""));
        match name.trim().to_ascii_lowercase().as_str() {
            "fields" => {
                let names = value.split_ascii_whitespace();
                self.fields = names.map(str::to_ascii_lowercase).collect();
            }
            "date" => {
                let day = value.split_ascii_whitespace().next();
                self.day = day.map(str::to_owned);
            }
            _ => {}
        }
        true
    }

    /// Parses a line with values.
    pub(super) fn parse_line(&self, line: &str) -> Result<LoggedRequest, LineParseError> {
        if self.fields.is_empty() {
            return Err(LineParseError::FieldsUnknown);
        }
        let values = split_values(line);
        if values.len() < self.fields.len() {
            return Err(LineParseError::InvalidLogLine("w3c"));
        }
        let value = |names: &[&str]| {
            names.iter().find_map(|name| {
                let place = self.fields.iter().position(|field| field == name)?;
                given((*values.get(place)?).to_owned())
            })
        };
        let require =
            |name: &str| value(&[name]).ok_or_else(|| LineParseError::MissingField(name.into()));
        let time = match (value(&["date"]).or(self.day.clone()), value(&["time"])) {
            (Some(day), Some(time)) => combine_utc(&day, &time),
            (None, Some(time)) => parse_log_time(&time).or_else(|| parse_utc(&time)),
            (_, None) => return Err(LineParseError::MissingField("time".to_owned())),
        };
        let peer = value(&["c-ip"]);
        let forwarded = value(&["x-forwarded-for", "cs(x-forwarded-for)"]);
        let forwarded = forwarded.map(|list| list.replace("%20", " ").replace("%2520", " "));
        if peer.is_none() && forwarded.is_none() {
            return Err(LineParseError::MissingField("c-ip".to_owned()));
        }
        let ip = visitor_address(peer.as_deref().unwrap_or_default(), forwarded.as_deref());
        let stem = value(&["cs-uri-stem", "cs-uri"])
            .ok_or_else(|| LineParseError::MissingField("cs-uri-stem".to_owned()))?;
        let target = match value(&["cs-uri-query"]) {
            Some(query) if !stem.contains('?') => format!("{stem}?{query}"),
            _ => stem,
        };
        let status = require("sc-status")?;
        Ok(LoggedRequest {
            time: time.ok_or(LineParseError::InvalidTime)?,
            ip: ip.ok_or(LineParseError::NoAddress)?,
            line: Some(RequestLine {
                method: require("cs-method")?,
                target,
            }),
            host: value(&["x-host-header", "cs-host", "cs(host)"]),
            status: status
                .parse()
                .map_err(|_| LineParseError::InvalidField("status_code"))?,
            referrer: value(&["cs(referer)", "cs(referrer)"]),
            user_agent: value(&["cs(user-agent)"]).map(|agent| decode_blanks(&agent)),
            user: value(&["cs-username"]).filter(|user| parse_address(user).is_none()),
        })
    }
}

/// Splits a line at tabs, or at blanks if it has no tabs. A value in quotes may contain blanks.
fn split_values(line: &str) -> Vec<&str> {
    if line.contains('\t') {
        return line.split('\t').map(str::trim).collect();
    }
    let mut values = vec![];
    let mut rest = line.trim_matches(' ');
    while !rest.is_empty() {
        let (value, tail) = match rest.strip_prefix('"').map(|text| (text, text.find('"'))) {
            Some((text, Some(end))) => (&text[..end], &text[end + 1..]),
            _ => rest.split_at(rest.find(' ').unwrap_or(rest.len())),
        };
        values.push(value);
        rest = tail.trim_start_matches(' ');
    }
    values
}

/// Decodes a user agent. `CloudFront` writes `%20`, or `%2520`, for blanks, IIS `+`.
fn decode_blanks(text: &str) -> String {
    if text.contains("%20") || text.contains("%25") {
        let once = percent_decode(text);
        return if once.contains("%20") {
            percent_decode(&once)
        } else {
            once
        };
    }
    if text.contains(' ') {
        return text.to_owned();
    }
    // "++" is a blank before a plus sign, as in "; +http://…".
    text.replace("++", " \u{0}")
        .replace('+', " ")
        .replace('\u{0}', "+")
}

fn percent_decode(text: &str) -> String {
    let mut bytes = vec![];
    let mut rest = text.as_bytes();
    loop {
        rest = match rest {
            [] => break,
            [b'%', high, low, tail @ ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                let digit = |byte: u8| char::from(byte).to_digit(16).unwrap_or_default();
                bytes.extend(u8::try_from(digit(*high) * 16 + digit(*low)));
                tail
            }
            [byte, tail @ ..] => {
                bytes.push(*byte);
                tail
            }
        };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
