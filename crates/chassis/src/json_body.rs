//! Parses JSON bodies. Errors name the field.

use axum::http::StatusCode;
use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};

use crate::Problem;

/// Parses a JSON object. Unlike this function, serde also accepts an array of the fields.
pub fn parse_object<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, Problem> {
    if matches!(
        bytes.trim_ascii_start().first(),
        Some(b'[' | b'"' | b'0'..=b'9' | b'-' | b't' | b'f' | b'n')
    ) {
        parse_json::<IgnoredAny>(bytes)?;
        return Err(Problem::invalid(
            "body",
            "BODY_INVALID",
            "the body must be a JSON object",
        ));
    }
    parse_json(bytes)
}

/// Parses a JSON object. Also returns the names of its unknown fields, which are ignored.
pub fn parse_object_leniently<T: DeserializeOwned>(
    bytes: &[u8],
) -> Result<(T, Vec<String>), Problem> {
    let mut unknown = vec![];
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let is_object = bytes.trim_ascii_start().first() == Some(&b'{');
    let ignored = |name: serde_ignored::Path<'_>| unknown.push(name.to_string());
    match serde_ignored::deserialize(&mut deserializer, ignored) {
        Ok(value) if is_object && deserializer.end().is_ok() => Ok((value, unknown)),
        _ => parse_object(bytes).map(|value| (value, vec![])),
    }
}

/// Parses JSON. Malformed JSON is a 400; an invalid value is a 422 with the path of the field.
pub fn parse_json<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, Problem> {
    // Tracking the path is slow, so it is done only after an error.
    if let Ok(value) = serde_json::from_slice(bytes) {
        return Ok(value);
    }
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let value = serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
        let inner = error.inner();
        if inner.is_data() {
            let detail = strip_position(inner);
            let field = invalid_field(&error.path().to_string(), &detail);
            Problem::invalid(field, "BODY_INVALID", detail)
        } else {
            invalid_json(inner)
        }
    })?;
    deserializer.end().map_err(|error| invalid_json(&error))?;
    Ok(value)
}

fn invalid_json(error: &serde_json::Error) -> Problem {
    let detail = format!("the body is not valid JSON: {error}");
    Problem::new(StatusCode::BAD_REQUEST, "BODY_NOT_JSON", detail).field("body")
}

/// Removes the position from `missing field `url` at line 1 column 2`; the path is more useful.
fn strip_position(error: &serde_json::Error) -> String {
    let text = error.to_string();
    match text.rfind(" at line ") {
        Some(end) => text[..end].to_owned(),
        None => text,
    }
}

/// The path of the invalid field. The path of an error about a missing or repeated field ends at
/// the object, so the field is taken from serde's message. So is an unknown field of an object whose
/// path serde loses (`flatten`).
fn invalid_field(path: &str, detail: &str) -> String {
    let object = if path == "." { "" } else { path };
    let own_field = ["missing field `", "duplicate field `"]
        .iter()
        .find_map(|start| detail.strip_prefix(start));
    let unknown_field = detail
        .strip_prefix("unknown field `")
        .filter(|_| object.is_empty());
    let name = own_field.or(unknown_field);
    let name = name
        .and_then(|rest| rest.split_once('`'))
        .map(|(name, _)| name);
    match (object, name) {
        ("", None) => "body".to_owned(),
        ("", Some(name)) => name.to_owned(),
        (object, None) => object.to_owned(),
        (object, Some(name)) => format!("{object}.{name}"),
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::parse_object;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only parsed")]
    struct Order {
        id: u32,
        lines: Vec<OrderLine>,
        #[serde(default)]
        customer: Option<Customer>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only parsed")]
    struct OrderLine {
        sku: String,
        count: u8,
    }

    #[derive(Debug, Deserialize)]
    #[expect(dead_code, reason = "only parsed")]
    struct Customer {
        name: String,
        #[serde(flatten)]
        address: Address,
    }

    #[derive(Debug, Deserialize)]
    #[expect(dead_code, reason = "only parsed")]
    struct Address {
        city: String,
    }

    #[test]
    fn errors_name_the_field() {
        for (body, field) in [
            (r"{}", "id"),
            (r#"{"id": 1}"#, "lines"),
            (r#"{"id": "1", "lines": []}"#, "id"),
            (r#"{"id": 1, "id": 2}"#, "id"),
            (r#"{"id": 1, "lines": {}}"#, "lines"),
            (r#"{"id": 1, "lines": [{}]}"#, "lines[0].sku"),
            (r#"{"id": 1, "lines": [7]}"#, "lines[0]"),
            (
                r#"{"id": 1, "lines": [{"sku": "a", "count": 1}, {"sku": "b", "count": 300}]}"#,
                "lines[1].count",
            ),
            (
                r#"{"id": 1, "lines": [{"sku": "a", "price": 1}]}"#,
                "lines[0].price",
            ),
            (r#"{"identifier": 1}"#, "identifier"),
            (r#"{"id": 1, "lines": [], "customer": {}}"#, "customer.name"),
            (
                r#"{"id": 1, "lines": [], "customer": {"name": "Ann"}}"#,
                "customer.city",
            ),
            (r"[]", "body"),
            (r"7", "body"),
            (r"null", "body"),
            (r"true", "body"),
        ] {
            let problem = parse_object::<Order>(body.as_bytes()).unwrap_err();
            assert_eq!(problem.code(), "BODY_INVALID", "{body}");
            assert_eq!(problem.field_name(), Some(field), "{body}: {problem}");
        }
        let problem = parse_object::<Order>(b"{").unwrap_err();
        assert_eq!(
            (problem.code(), problem.field_name()),
            ("BODY_NOT_JSON", Some("body"))
        );
    }
}
