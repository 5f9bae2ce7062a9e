//! Encryption of push messages (RFC 8291).

use aws_lc_rs::aead::{AES_128_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::agreement::{ECDH_P256, PrivateKey, UnparsedPublicKey, agree};
use aws_lc_rs::hmac::{HMAC_SHA256, Key, sign};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// Push services accept 4,096 bytes, including the overhead of encryption.
pub const MAX_PAYLOAD_BYTES: usize = 3_900;
const AUTH_SECRET_BYTES: usize = 16;
/// An uncompressed point of P-256.
const PUBLIC_KEY_BYTES: usize = 65;
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the keys are invalid")]
pub struct InvalidPushKeys;

/// The keys of a browser's subscription.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PushEncryptionKeys {
    public_key: Vec<u8>,
    auth_secret: Vec<u8>,
}

impl PushEncryptionKeys {
    /// Parses the keys `p256dh` and `auth` of a subscription, in base64url.
    pub fn new(p256dh: &str, auth: &str) -> Result<Self, InvalidPushKeys> {
        let decode = |text: &str| {
            let text = text.trim_end_matches('=');
            URL_SAFE_NO_PAD.decode(text).map_err(|_| InvalidPushKeys)
        };
        let (public, auth) = (decode(p256dh)?, decode(auth)?);
        let good =
            public.len() == PUBLIC_KEY_BYTES && public[0] == 4 && auth.len() == AUTH_SECRET_BYTES;
        good.then_some(Self {
            public_key: public,
            auth_secret: auth,
        })
        .ok_or(InvalidPushKeys)
    }

    /// Encrypts a message with `Content-Encoding: aes128gcm`. The key pair and the salt must be
    /// used only once.
    pub fn encrypt(
        &self,
        plain: &[u8],
        pair: &PrivateKey,
        salt: [u8; 16],
    ) -> Result<Vec<u8>, InvalidPushKeys> {
        let own = pair.compute_public_key().map_err(|_| InvalidPushKeys)?;
        let theirs = UnparsedPublicKey::new(&ECDH_P256, &self.public_key);
        let prk = agree(pair, theirs, InvalidPushKeys, |shared| {
            Ok(sign(&Key::new(HMAC_SHA256, &self.auth_secret), shared))
        })?;
        let info = [b"WebPush: info\0", &self.public_key[..], own.as_ref(), &[1]].concat();
        let secret = sign(&Key::new(HMAC_SHA256, prk.as_ref()), &info);
        let prk = sign(&Key::new(HMAC_SHA256, &salt), secret.as_ref());
        let derive = |info: &[u8]| sign(&Key::new(HMAC_SHA256, prk.as_ref()), info);
        let key = derive(b"Content-Encoding: aes128gcm\0\x01");
        let nonce = derive(b"Content-Encoding: nonce\0\x01");
        let key =
            UnboundKey::new(&AES_128_GCM, &key.as_ref()[..16]).map_err(|_| InvalidPushKeys)?;
        let nonce =
            Nonce::try_assume_unique_for_key(&nonce.as_ref()[..12]).map_err(|_| InvalidPushKeys)?;
        // The delimiter 2 marks the last record.
        let mut sealed = [plain, &[2]].concat();
        let key = LessSafeKey::new(key);
        key.seal_in_place_append_tag(nonce, Aad::empty(), &mut sealed)
            .map_err(|_| InvalidPushKeys)?;
        let record_size = 4_096_u32.to_be_bytes();
        let length = u8::try_from(PUBLIC_KEY_BYTES).map_err(|_| InvalidPushKeys)?;
        Ok([&salt, &record_size[..], &[length], own.as_ref(), &sealed].concat())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_vector_of_rfc_8291_appendix_a() {
        let bytes = |text: &str| URL_SAFE_NO_PAD.decode(text).unwrap();
        let keys = PushEncryptionKeys::new(
            "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4",
            "BTBZMqHH6r4Tts7J_aSIgg",
        )
        .unwrap();
        let private = bytes("yfWPiYE-n46HLnH0KqZOF1fJJU3MYrct3AELtAQ-oRw");
        let pair = PrivateKey::from_private_key(&ECDH_P256, &private).unwrap();
        let salt = bytes("DGv6ra1nlYgDCS1FRnbzlw").try_into().unwrap();
        let plain = b"When I grow up, I want to be a watermelon";
        let body = keys.encrypt(plain, &pair, salt).unwrap();
        let expected = "DGv6ra1nlYgDCS1FRnbzlwAAEABBBP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIg\
            Dll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PBru3jl7A_yl95bQpu6cVPTpK4Mqgkf1CXztLVBSt2Ks3oZwbuw\
            XPXLWyouBWLVWGNWQexSgSxsj_Qulcy4a-fN";
        assert_eq!(URL_SAFE_NO_PAD.encode(body), expected);
    }

    #[test]
    fn keys_that_are_none_are_refused() {
        assert_eq!(
            PushEncryptionKeys::new("AAAA", "BTBZMqHH6r4Tts7J_aSIgg"),
            Err(InvalidPushKeys)
        );
    }
}
