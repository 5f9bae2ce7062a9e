//! The header `Idempotency-Key`.

use aws_lc_rs::digest::{SHA256, digest};
use axum::extract::FromRequestParts;
use axum::http::StatusCode;
use axum::http::request::Parts;
use chassis::Problem;
use common::notification::NotifyRequest;

use crate::store::idempotency_key::Key;

const HEADER: &str = "idempotency-key";
const LONGEST: usize = 255;

/// The header's value, where it was sent.
#[derive(Debug)]
pub(super) struct IdempotencyKey(Option<String>);

impl<S: Sync> FromRequestParts<S> for IdempotencyKey {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let mut values = parts.headers.get_all(HEADER).iter();
        let Some(first) = values.next() else {
            return Ok(Self(None));
        };
        let printable = |text: &&str| {
            (1..=LONGEST).contains(&text.len()) && text.bytes().all(|b| (b' '..=b'~').contains(&b))
        };
        let alone = values.next().is_none();
        let key = first.to_str().ok().filter(printable).filter(|_| alone);
        key.map(|key| Self(Some(key.to_owned()))).ok_or_else(|| {
            let detail = format!("send one key of 1 to {LONGEST} printable ASCII characters");
            Problem::new(StatusCode::BAD_REQUEST, "IDEMPOTENCY_KEY_INVALID", detail).field(HEADER)
        })
    }
}

impl IdempotencyKey {
    /// The key of this caller for this request. The body counts by what it says: order of fields
    /// and blanks do not matter.
    pub fn of(self, subject: &str, request: &NotifyRequest) -> Option<Key> {
        let mut canonical = serde_json::to_value(request).unwrap_or_default();
        canonical.sort_all_objects();
        let sum = digest(&SHA256, canonical.to_string().as_bytes());
        let body_sha256 = sum.as_ref().try_into().expect("SHA-256 has 32 bytes");
        Some(Key {
            subject: subject.to_owned(),
            key: self.0?,
            body_sha256,
        })
    }
}
