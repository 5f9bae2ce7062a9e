//! Parses access logs that contain a JSON object per line: nginx, Caddy, Traefik.

use std::net::IpAddr;

use common::special_purpose::special_purpose;
use serde_json::{Map, Value};

use super::address_fields::parse_address;
use super::format::ImportFormat;
use super::log_time::parse_json_time;
use super::logged_request::{LoggedRequest, RequestLine, given};
use super::parsed_line::LineParseError;

/// The keys of each format. The first that has a value counts.
struct LogKeys {
    time: &'static [&'static str],
    ip: &'static [&'static str],
    forwarded_for: &'static [&'static str],
    /// The whole request line.
    request: &'static [&'static str],
    method: &'static [&'static str],
    target: &'static [&'static str],
    query: &'static [&'static str],
    host: &'static [&'static str],
    status: &'static [&'static str],
    referrer: &'static [&'static str],
    user_agent: &'static [&'static str],
    user: &'static [&'static str],
}

const NGINX: LogKeys = LogKeys {
    time: &[
        "time_iso8601",
        "time_local",
        "msec",
        "@timestamp",
        "timestamp",
        "time",
        "ts",
    ],
    ip: &[
        "remote_addr",
        "remote_ip",
        "client_ip",
        "client",
        "clientip",
        "ip",
        "realip_remote_addr",
    ],
    forwarded_for: &[
        "http_x_forwarded_for",
        "x_forwarded_for",
        "proxy_add_x_forwarded_for",
    ],
    request: &["request"],
    method: &["request_method", "method"],
    target: &["request_uri", "uri", "path"],
    query: &["args", "query_string"],
    host: &["host", "http_host", "server_name", "vhost"],
    status: &["status", "status_code", "response"],
    referrer: &["http_referer", "http_referrer", "referer", "referrer"],
    user_agent: &["http_user_agent", "user_agent", "agent", "useragent"],
    user: &["remote_user"],
};

const CADDY: LogKeys = LogKeys {
    time: &["ts", "time", "timestamp"],
    ip: &[
        "request.client_ip",
        "request.remote_ip",
        "request.remote_addr",
    ],
    forwarded_for: &["request.headers.X-Forwarded-For"],
    request: &[],
    method: &["request.method"],
    target: &["request.uri"],
    query: &[],
    host: &["request.host"],
    status: &["status"],
    referrer: &["request.headers.Referer"],
    user_agent: &["request.headers.User-Agent"],
    user: &["user_id"],
};

const TRAEFIK: LogKeys = LogKeys {
    time: &["StartUTC", "StartLocal", "time"],
    ip: &["ClientHost", "ClientAddr"],
    forwarded_for: &["request_X-Forwarded-For"],
    request: &[],
    method: &["RequestMethod"],
    target: &["RequestPath"],
    query: &[],
    host: &["RequestHost", "RequestAddr"],
    status: &["DownstreamStatus", "OriginStatus"],
    referrer: &["request_Referer"],
    user_agent: &["request_User-Agent"],
    user: &["ClientUsername"],
};

/// Parses a line; `None` if it is a message of the server about something else than a request.
pub(super) fn parse_line(
    fields: &Map<String, Value>,
    format: ImportFormat,
) -> Result<Option<LoggedRequest>, LineParseError> {
    let keys = match format {
        ImportFormat::Caddy => &CADDY,
        ImportFormat::Traefik => &TRAEFIK,
        _ => &NGINX,
    };
    let has_request = [keys.request, keys.method, keys.target]
        .into_iter()
        .any(|keys| find(fields, keys).is_some());
    if !has_request
        && ["msg", "message", "level"]
            .iter()
            .any(|key| fields.contains_key(*key))
    {
        return Ok(None);
    }
    let missing = |keys: &[&str]| {
        LineParseError::MissingField(keys.first().copied().unwrap_or_default().to_owned())
    };
    let time = find(fields, keys.time).ok_or_else(|| missing(keys.time))?;
    let time = parse_json_time(time).ok_or(LineParseError::InvalidTime)?;
    let text = |keys: &[&str]| find(fields, keys).and_then(to_text);
    let ip = text(keys.ip).ok_or_else(|| missing(keys.ip))?;
    let forwarded = text(keys.forwarded_for);
    let ip = visitor_address(&ip, forwarded.as_deref()).ok_or(LineParseError::NoAddress)?;
    let line = match (text(keys.request), text(keys.method), text(keys.target)) {
        (Some(request), _, _) => RequestLine::parse(&request),
        (None, Some(method), Some(target)) => {
            let query = text(keys.query).filter(|_| !target.contains('?'));
            let query = query.map_or_else(String::new, |query| format!("?{query}"));
            Some(RequestLine {
                method,
                target: target + &query,
            })
        }
        (None, Some(_), None) => return Err(missing(keys.target)),
        (None, None, _) => return Err(missing(keys.method)),
    };
    let status = find(fields, keys.status).ok_or_else(|| missing(keys.status))?;
    let status = to_text(status).and_then(|status| status.parse().ok());
    Ok(Some(LoggedRequest {
        time,
        ip,
        line,
        host: text(keys.host),
        status: status.ok_or(LineParseError::InvalidField("status_code"))?,
        referrer: text(keys.referrer),
        user_agent: text(keys.user_agent),
        user: text(keys.user).filter(|user| parse_address(user).is_none()),
    }))
}

/// The format of a line of a JSON log, as far as its keys show it.
pub(super) fn detect_format(fields: &Map<String, Value>) -> Option<ImportFormat> {
    let has = |keys: &[&str]| find(fields, keys).is_some();
    if has(&["request.uri", "request.remote_ip", "request.client_ip"]) {
        Some(ImportFormat::Caddy)
    } else if has(&["RequestMethod", "DownstreamStatus", "ClientAddr"]) {
        Some(ImportFormat::Traefik)
    } else if has(&["url"]) && has(&["ip", "user_agent", "received_at"]) {
        Some(ImportFormat::Ndjson)
    } else if has(&["request", "request_uri", "request_method", "uri"])
        && has(NGINX.ip)
        && has(NGINX.status)
    {
        Some(ImportFormat::NginxJson)
    } else {
        None
    }
}

/// The address of the visitor: the first forwarded one if the peer is a private address, which is
/// a proxy's.
pub(super) fn visitor_address(peer: &str, forwarded_for: Option<&str>) -> Option<IpAddr> {
    let direct = parse_address(peer);
    let mut forwarded = forwarded_for
        .into_iter()
        .flat_map(|list| list.split([',', ' ', '+']))
        .filter_map(parse_address);
    match direct {
        Some(ip) if special_purpose(ip).is_none() => Some(ip),
        _ => forwarded.next().or(direct),
    }
}

/// Finds the first key with a value. A dot separates the keys of nested objects; keys may be
/// written in any case.
fn find<'a>(fields: &'a Map<String, Value>, keys: &[&str]) -> Option<&'a Value> {
    keys.iter().find_map(|key| {
        let (key, inner) = match key.split_once('.') {
            Some((key, inner)) => (key, Some(inner)),
            None => (*key, None),
        };
        let value = fields.get(key).or_else(|| {
            let mut others = fields.iter();
            others
                .find(|(name, _)| name.eq_ignore_ascii_case(key))
                .map(|(_, value)| value)
        })?;
        match (inner, value) {
            (Some(inner), Value::Object(object)) => find(object, &[inner]),
            (Some(_), _) | (None, Value::Null) => None,
            (None, Value::String(text)) if text.is_empty() || text == "-" => None,
            (None, value) => Some(value),
        }
    })
}

/// A text, a number as text, or the first text of an array (the values of a header).
fn to_text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => given(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Array(values) => values.first().and_then(to_text),
        _ => None,
    }
}
