//! Signatures according to Standard Webhooks: <https://www.standardwebhooks.com>.

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

const SECRET_PREFIX: &str = "whsec_";
/// Random bytes in a new secret.
pub const SECRET_BYTES: usize = 24;

/// Formats a secret for display.
#[must_use]
pub fn format_secret(bytes: &[u8; SECRET_BYTES]) -> String {
    format!("{SECRET_PREFIX}{}", STANDARD.encode(bytes))
}

/// Returns the header `webhook-signature` with one signature for each secret, so that receivers
/// can rotate secrets without an interruption. Invalid secrets are skipped.
#[must_use]
pub fn signature_header(secrets: &[String], id: &str, timestamp: i64, body: &[u8]) -> String {
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
        let sign = |secrets: &[String]| signature_header(secrets, id, 1_649_367_553, body);
        assert_eq!(sign(std::slice::from_ref(&secret)), one);
        assert_eq!(sign(&[secret.clone(), secret]), format!("{one} {one}"));
    }
}
