//! Idempotency keys: the header `Idempotency-Key`, or a field of the body.

use aws_lc_rs::digest::{SHA256, digest};
use axum::http::{HeaderMap, StatusCode};
use chassis::Problem;
use common::notification::{MESSAGE_EVENT, NotifyRequest, Priority};
use serde::Serialize;
use serde_json::{Map, Value};

use crate::store::idempotency_key::IdempotencyKey;

const KEY_HEADER: &str = "idempotency-key";
const KEY_FIELD: &str = "idempotency_key";
const MAX_KEY_BYTES: usize = 255;

pub(super) fn parse_header(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let mut values = headers.get_all(KEY_HEADER).iter();
    let Some(first) = values.next() else {
        return Ok(None);
    };
    let alone = values.next().is_none();
    let key = first.to_str().ok().filter(|key| alone && is_key(key));
    key.map(|key| Some(key.to_owned()))
        .ok_or_else(|| invalid_key(KEY_HEADER, StatusCode::BAD_REQUEST))
}

pub(super) fn refuse_header(headers: &HeaderMap) -> Result<(), Problem> {
    if !headers.contains_key(KEY_HEADER) {
        return Ok(());
    }
    let detail = format!("in a list, send the key of each notification in its field `{KEY_FIELD}`");
    let status = StatusCode::BAD_REQUEST;
    Err(Problem::new(status, "IDEMPOTENCY_KEY_INVALID", detail).field(KEY_HEADER))
}

/// Takes the key from the field or the header; both are accepted if they are equal. Keys of
/// different subjects are independent.
pub(super) fn take_key(
    subject: &str,
    header: Option<String>,
    request: &mut NotifyRequest,
) -> Result<Option<IdempotencyKey>, Problem> {
    let field = request.idempotency_key.take();
    if field.as_deref().is_some_and(|key| !is_key(key)) {
        return Err(invalid_key(KEY_FIELD, StatusCode::UNPROCESSABLE_ENTITY));
    }
    if let (Some(header), Some(field)) = (&header, &field)
        && header != field
    {
        let detail = "the header `Idempotency-Key` and this field differ; send only one of them";
        return Err(Problem::invalid(
            KEY_FIELD,
            "IDEMPOTENCY_KEY_CONFLICT",
            detail,
        ));
    }
    Ok(header.or(field).map(|key| IdempotencyKey {
        subject: subject.to_owned(),
        key,
        body_sha256: hash_body(request),
    }))
}

pub(super) fn key_reused(by_header: bool) -> Problem {
    let detail = "this key was used with a different body; use a new key for a new notification";
    let place = if by_header { KEY_HEADER } else { KEY_FIELD };
    Problem::invalid(place, "IDEMPOTENCY_KEY_REUSED", detail)
}

fn is_key(text: &str) -> bool {
    (1..=MAX_KEY_BYTES).contains(&text.len())
        && text.bytes().all(|byte| (b' '..=b'~').contains(&byte))
}

fn invalid_key(place: &str, status: StatusCode) -> Problem {
    let detail = format!("send one key of 1 to {MAX_KEY_BYTES} printable ASCII characters");
    Problem::new(status, "IDEMPOTENCY_KEY_INVALID", detail).field(place)
}

/// The SHA-256 of the canonical body, independent of the order of fields, whitespace and the key.
fn hash_body(request: &mut NotifyRequest) -> [u8; 32] {
    /// Fields in alphabetical order. Hashes are stored, so the form must not change between
    /// versions.
    #[derive(Serialize)]
    struct CanonicalBody<'a> {
        channels: &'a Option<Vec<String>>,
        data: &'a Map<String, Value>,
        dedupe_key: &'a Option<String>,
        event: &'a str,
        message: &'a Option<String>,
        priority: Priority,
        title: &'a Option<String>,
        to: &'a Option<Vec<String>>,
    }
    request.data.sort_keys();
    request.data.values_mut().for_each(Value::sort_all_objects);
    let canonical = serde_json::to_vec(&CanonicalBody {
        channels: &request.channels,
        data: &request.data,
        dedupe_key: &request.dedupe_key,
        event: request.event.as_deref().unwrap_or(MESSAGE_EVENT),
        message: &request.message,
        priority: request.priority,
        title: &request.title,
        to: &request.to,
    });
    let canonical = canonical.expect("strings, lists and maps with string keys serialize to JSON");
    let sum = digest(&SHA256, &canonical);
    sum.as_ref().try_into().expect("SHA-256 has 32 bytes")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_sum_is_over_what_is_said_in_the_order_of_names() {
        let asked = json!({"to": ["log"], "message": "m", "event": "e",
            "data": {"b": [{"d": 1, "c": null}], "a": 2}, "idempotency_key": "k"});
        let mut request: NotifyRequest = serde_json::from_value(asked).unwrap();
        let text = r#"{"channels":null,"data":{"a":2,"b":[{"c":null,"d":1}]},"dedupe_key":null,"event":"e","message":"m","priority":"normal","title":null,"to":["log"]}"#;
        assert_eq!(
            hash_body(&mut request),
            digest(&SHA256, text.as_bytes()).as_ref()
        );
    }
}
