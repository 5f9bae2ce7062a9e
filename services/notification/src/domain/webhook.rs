//! Signing by Standard Webhooks: <https://www.standardwebhooks.com>.

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// What a secret begins with.
const SECRET_PREFIX: &str = "whsec_";
/// How many random bytes a new secret has.
pub const SECRET_BYTES: usize = 24;

/// A secret as people copy it.
#[must_use]
pub fn secret(bytes: &[u8; SECRET_BYTES]) -> String {
    format!("{SECRET_PREFIX}{}", STANDARD.encode(bytes))
}

/// The header `webhook-signature`: one signature for each secret, so that none is missed while one
/// is replaced. Secrets that cannot be read sign nothing.
#[must_use]
pub fn signature(secrets: &[String], id: &str, timestamp: i64, body: &[u8]) -> String {
    let sign = |secret: &String| {
        let key = secret.strip_prefix(SECRET_PREFIX).unwrap_or(secret);
        let key = hmac::Key::new(hmac::HMAC_SHA256, &STANDARD.decode(key).ok()?);
        let mut context = hmac::Context::with_key(&key);
        context.update(format!("{id}.{timestamp}.").as_bytes());
        context.update(body);
        Some(format!("v1,{}", STANDARD.encode(context.sign())))
    };
    let signatures: Vec<_> = secrets.iter().filter_map(sign).collect();
    signatures.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_published_vector() {
        let secret = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD".to_owned();
        let id = "msg_27UH4WbU6Z5A5EzD8u03UvzRbpk";
        let body = br#"{"email":"test@example.com","username":"test_user"}"#;
        let one = "v1,tZ1I4/hDygAJgO5TYxiSd6Sd0kDW6hPenDe+bTa3Kkw=";
        let sign = |secrets: &[String]| signature(secrets, id, 1_649_367_553, body);
        assert_eq!(sign(std::slice::from_ref(&secret)), one);
        assert_eq!(sign(&[secret.clone(), secret]), format!("{one} {one}"));
    }
}
