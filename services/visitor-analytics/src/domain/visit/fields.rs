//! Validation of single fields.

use std::borrow::Cow;
use std::collections::HashMap;

use rollups::pattern::normalize_path;
use serde_json::{Map, Value};
use url::Url;
use user_agent::RequestHeaders;

use super::error::ValidationError;

const MAX_URL_BYTES: usize = 4_096;
const MAX_HOST_BYTES: usize = 253;
const MAX_ID_BYTES: usize = 128;
const MAX_TEXT_BYTES: usize = 1_024;
const MAX_PROPERTIES_BYTES: usize = 8_192;
const MAX_HEADERS: usize = 64;

pub(super) fn parse_page_url(text: &str) -> Result<Url, ValidationError> {
    if text.len() > MAX_URL_BYTES {
        return Err(ValidationError::Url("too long".into()));
    }
    let url = Url::parse(text).map_err(|error| ValidationError::Url(error.to_string()))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(ValidationError::Url(format!("not {}", url.scheme())));
    }
    let mut url = strip_fragment_and_credentials(url);
    if let Cow::Owned(path) = normalize_path(url.path()) {
        url.set_path(&path);
    }
    Ok(url)
}

/// Parses a referrer: the URL of a page or an Android app.
pub(super) fn parse_referrer(text: &str) -> Option<Url> {
    let url = Url::parse(text)
        .ok()
        .filter(|_| text.len() <= MAX_URL_BYTES)?;
    let known = matches!(url.scheme(), "http" | "https" | "android-app");
    (known && url.has_host()).then(|| strip_fragment_and_credentials(url))
}

fn strip_fragment_and_credentials(mut url: Url) -> Url {
    url.set_fragment(None);
    // Both fail only for URLs without a host.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url
}

/// Normalizes the domain of a site: lower case, internationalized names in ASCII (Punycode).
pub fn normalize_domain(name: &str) -> Result<String, ValidationError> {
    let name = name.trim().trim_end_matches('.');
    let host = url::Host::parse(name).map_err(|_| ValidationError::Site)?;
    let host = host.to_string();
    if host.len() > MAX_HOST_BYTES {
        return Err(ValidationError::Site);
    }
    Ok(host)
}

pub(super) fn validate_method(method: Option<String>) -> Result<String, ValidationError> {
    let Some(method) = method else {
        return Ok("GET".into());
    };
    let letters = method.bytes().all(|b| b.is_ascii_alphabetic());
    if method.is_empty() || method.len() > 16 || !letters {
        return Err(ValidationError::Method);
    }
    Ok(method.to_ascii_uppercase())
}

pub(super) fn validate_status_code(code: Option<u16>) -> Result<Option<u16>, ValidationError> {
    match code {
        Some(code) if !(100..=599).contains(&code) => Err(ValidationError::StatusCode),
        code => Ok(code),
    }
}

pub(super) fn parse_request_headers(
    given: HashMap<String, String>,
) -> Result<RequestHeaders, ValidationError> {
    let long = |(name, value): (&String, &String)| name.len().max(value.len()) > MAX_TEXT_BYTES;
    if given.len() > MAX_HEADERS || given.iter().any(long) {
        return Err(ValidationError::Headers);
    }
    Ok(given.into_iter().collect())
}

/// Validates a site's own id of a visitor or user. `field` is its name in the API.
pub fn validate_external_id(id: String, field: &'static str) -> Result<String, ValidationError> {
    if id.is_empty() || id.len() > MAX_ID_BYTES || id.contains(char::is_control) {
        return Err(ValidationError::Id(field));
    }
    Ok(id)
}

pub(in super::super) fn validate_properties(
    properties: Map<String, Value>,
) -> Result<Map<String, Value>, ValidationError> {
    let json = serde_json::to_string(&properties).map_err(|_| ValidationError::Properties)?;
    if json.len() > MAX_PROPERTIES_BYTES || contains_nul(&properties) {
        return Err(ValidationError::Properties);
    }
    Ok(properties)
}

/// PostgreSQL cannot store U+0000 in `jsonb`. The JSON parser limits the depth of the recursion.
fn contains_nul(object: &Map<String, Value>) -> bool {
    fn in_value(value: &Value) -> bool {
        match value {
            Value::String(text) => text.contains('\0'),
            Value::Array(values) => values.iter().any(in_value),
            Value::Object(object) => contains_nul(object),
            Value::Null | Value::Bool(_) | Value::Number(_) => false,
        }
    }
    let field = |(name, value): (&String, &Value)| name.contains('\0') || in_value(value);
    object.iter().any(field)
}

/// Removes control characters from untrusted text and cuts it to [`MAX_TEXT_BYTES`].
pub(in super::super) fn sanitize_text(text: String) -> String {
    let mut text = if text.contains(char::is_control) {
        text.replace(char::is_control, "")
    } else {
        text
    };
    text.truncate(text.floor_char_boundary(MAX_TEXT_BYTES));
    text
}
