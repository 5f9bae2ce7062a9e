//! A request in an access log, whatever the format of the log.

use std::net::IpAddr;

use chrono::{DateTime, Utc};

use super::address_fields::host_name;
use super::page_filter::{SkipReason, skip_reason};
use super::parsed_line::ParsedLine;
use crate::domain::visit::SubmittedVisit;

/// A request in an access log. Texts are unescaped; missing values are `None`.
#[derive(Clone, Debug)]
pub(super) struct LoggedRequest {
    pub(super) time: DateTime<Utc>,
    pub(super) ip: IpAddr,
    /// `None` if the client did not send an HTTP request.
    pub(super) line: Option<RequestLine>,
    /// The virtual host, if the log has it.
    pub(super) host: Option<String>,
    /// 0 if there was no response.
    pub(super) status: u16,
    pub(super) referrer: Option<String>,
    pub(super) user_agent: Option<String>,
    pub(super) user: Option<String>,
}

/// The method and target of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct RequestLine {
    pub(super) method: String,
    pub(super) target: String,
}

impl RequestLine {
    /// Parses `GET /path HTTP/1.1`. The version may be missing, and the path may contain blanks.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (method, target) = text.trim().split_once(' ')?;
        let target = match target.rsplit_once(' ') {
            Some((target, version)) if version.starts_with("HTTP/") => target,
            _ => target,
        };
        let is_method = !method.is_empty() && method.bytes().all(|byte| byte.is_ascii_uppercase());
        (is_method && !target.is_empty()).then(|| Self {
            method: method.to_owned(),
            target: target.to_owned(),
        })
    }
}

impl LoggedRequest {
    /// The page view of a site, or why the request is none.
    pub(super) fn into_parsed_line(self, site: &str) -> ParsedLine {
        let Some(line) = self.line else {
            return ParsedLine::Skipped(SkipReason::Request);
        };
        if line.method != "GET" {
            return ParsedLine::Skipped(SkipReason::Method);
        }
        let Some((origin, path)) = split_target(&line.target) else {
            return ParsedLine::Skipped(SkipReason::Request);
        };
        if let Some(reason) = skip_reason(&line.method, &path, Some(self.status)) {
            return ParsedLine::Skipped(reason);
        }
        let origin = origin.unwrap_or_else(|| {
            let host = self.host.as_deref().and_then(host_name);
            format!("https://{}", host.as_deref().unwrap_or(site))
        });
        ParsedLine::Visit(Box::new(SubmittedVisit {
            site: Some(site.to_owned()),
            timestamp: Some(self.time),
            url: format!("{origin}{path}"),
            ip: self.ip.to_string(),
            user_agent: self.user_agent,
            referrer: self.referrer,
            status_code: Some(self.status),
            user_id: self.user,
            ..SubmittedVisit::default()
        }))
    }
}

/// Splits a target into its origin, if it is absolute, and its path with query.
fn split_target(target: &str) -> Option<(Option<String>, String)> {
    if target.starts_with('/') {
        return Some((None, target.to_owned()));
    }
    let (scheme, rest) = target.split_once("://")?;
    let scheme = scheme.to_ascii_lowercase();
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    let authority = authority.rsplit('@').next()?;
    host_name(authority).filter(|_| matches!(scheme.as_str(), "http" | "https"))?;
    let slash = if path.starts_with('/') { "" } else { "/" };
    Some((
        Some(format!("{scheme}://{}", authority.to_ascii_lowercase())),
        format!("{slash}{path}"),
    ))
}

/// A value that is not the placeholder `-` of logs.
pub(super) fn given(text: String) -> Option<String> {
    Some(text).filter(|text| text != "-" && !text.is_empty())
}
