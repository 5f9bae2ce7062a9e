//! Authentication with push services (VAPID, RFC 8292).

use aws_lc_rs::agreement::{ECDH_P256, PrivateKey};
use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, Utc};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde::Serialize;

use super::encryption::InvalidPushKeys;

/// RFC 8292 permits at most 24 hours.
const TOKEN_LIFETIME_SECONDS: i64 = 12 * 3_600;

/// Signs requests to push services with the VAPID key.
pub struct VapidSigner {
    key: EncodingKey,
    /// The public key in base64url, with which browsers subscribe.
    pub public_key: String,
    subject: String,
}

impl VapidSigner {
    /// Takes a private key of 32 bytes in base64url. `subject` is a `mailto:` or `https:` URL.
    pub fn new(private: &str, subject: String) -> Result<Self, InvalidPushKeys> {
        let bytes = URL_SAFE_NO_PAD.decode(private.trim_end_matches('='));
        let pair = PrivateKey::from_private_key(&ECDH_P256, &bytes.map_err(|_| InvalidPushKeys)?);
        let pair = pair.map_err(|_| InvalidPushKeys)?;
        let der: Pkcs8V1Der = pair.as_der().map_err(|_| InvalidPushKeys)?;
        let public = pair.compute_public_key().map_err(|_| InvalidPushKeys)?;
        Ok(Self {
            key: EncodingKey::from_ec_der(der.as_ref()),
            public_key: URL_SAFE_NO_PAD.encode(public.as_ref()),
            subject,
        })
    }

    /// Returns the header `Authorization` for the origin of a push service, such as
    /// `https://push.example`.
    pub fn authorization_header(
        &self,
        origin: &str,
        now: DateTime<Utc>,
    ) -> Result<String, InvalidPushKeys> {
        #[derive(Serialize)]
        struct VapidClaims<'a> {
            aud: &'a str,
            exp: i64,
            sub: &'a str,
        }
        let claims = VapidClaims {
            aud: origin,
            exp: now.timestamp() + TOKEN_LIFETIME_SECONDS,
            sub: &self.subject,
        };
        let header = Header::new(Algorithm::ES256);
        let token =
            jsonwebtoken::encode(&header, &claims, &self.key).map_err(|_| InvalidPushKeys)?;
        Ok(format!("vapid t={token}, k={}", self.public_key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_authorized_by_a_valid_key() {
        let subject = || "mailto:ops@example.com".to_owned();
        assert!(VapidSigner::new("AAAA", subject()).is_err());
        let vapid =
            VapidSigner::new("yfWPiYE-n46HLnH0KqZOF1fJJU3MYrct3AELtAQ-oRw", subject()).unwrap();
        let now = DateTime::from_timestamp(1_795_176_000, 0).unwrap();
        let header = vapid
            .authorization_header("https://push.example", now)
            .unwrap();
        assert!(
            header.starts_with("vapid t=ey") && header.contains(", k=BP4z"),
            "{header}"
        );
    }
}
