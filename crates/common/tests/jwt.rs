//! Verification of valid and invalid tokens.

#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use chrono::{DateTime, TimeDelta, Utc};
use common::clock::Clock;
use common::jwt::{
    Claims, KeyError, Keyring, Scope, ScopeSet, TokenError, TokenIssuer, TokenVerifier,
};
use jsonwebtoken::jwk::{Jwk, JwkSet};
use jsonwebtoken::{Algorithm, EncodingKey};
use secrecy::SecretString;

const OLD_SECRET: &str = "an-old-secret-that-is-being-rotated-out";
const NEW_SECRET: &str = "the-new-secret-that-signs-from-today-on";

fn now() -> DateTime<Utc> {
    DateTime::from_timestamp(1_795_176_000, 0).unwrap()
}

fn keyring(secrets: &[&str]) -> Arc<Keyring> {
    let secrets: Vec<SecretString> = secrets.iter().map(|s| (*s).into()).collect();
    Arc::new(Keyring::new(&secrets, None, false).unwrap())
}

fn claims(scopes: &[Scope]) -> Claims {
    let scopes: ScopeSet = scopes.iter().copied().collect();
    Claims::new("django", scopes, now().timestamp(), 60)
}

#[test]
fn a_rotated_secret_still_verifies_and_the_first_one_signs() {
    let clock = Clock::manual(now());
    let token = keyring(&[OLD_SECRET])
        .sign(&claims(&[Scope::GeoRead]))
        .unwrap();
    let both = TokenVerifier::new(keyring(&[NEW_SECRET, OLD_SECRET]), "geo", clock.clone());
    assert!(both.verify(&token).is_ok());
    let signed_now = both.keys().sign(&claims(&[Scope::GeoRead])).unwrap();
    let only_new = TokenVerifier::new(keyring(&[NEW_SECRET]), "geo", clock);
    assert!(only_new.verify(&signed_now).is_ok());
    assert_eq!(only_new.verify(&token), Err(TokenError::Invalid));
}

#[test]
fn a_token_ends_even_when_it_is_remembered() {
    let clock = Clock::manual(now());
    let verifier = TokenVerifier::new(keyring(&[NEW_SECRET]), "geo", clock.clone());
    let token = verifier.keys().sign(&claims(&[Scope::GeoRead])).unwrap();
    assert!(verifier.verify(&token).is_ok());
    clock.advance(TimeDelta::seconds(64));
    assert!(verifier.verify(&token).is_ok(), "within the leeway");
    clock.advance(TimeDelta::seconds(2));
    assert_eq!(verifier.verify(&token), Err(TokenError::Expired));
}

#[test]
fn another_audience_a_later_start_and_a_foreign_algorithm_are_told_apart() {
    let verifier = TokenVerifier::new(keyring(&[NEW_SECRET]), "geo", Clock::manual(now()));
    let sign = |claims: &Claims| verifier.keys().sign(claims).unwrap();
    let other = sign(&claims(&[Scope::NotifySend]));
    assert_eq!(verifier.verify(&other), Err(TokenError::WrongAudience));
    let mut later = claims(&[Scope::GeoRead]);
    later.nbf = Some(now().timestamp() + 30);
    assert_eq!(verifier.verify(&sign(&later)), Err(TokenError::NotYetValid));
    let key = EncodingKey::from_secret(NEW_SECRET.as_bytes());
    let header = jsonwebtoken::Header::new(Algorithm::HS384);
    let hs384 = jsonwebtoken::encode(&header, &claims(&[Scope::GeoRead]), &key).unwrap();
    assert_eq!(
        verifier.verify(&hs384),
        Err(TokenError::UnsupportedAlgorithm)
    );
}

#[test]
fn alg_none_and_nonsense_are_refused() {
    let verifier = TokenVerifier::new(keyring(&[NEW_SECRET]), "geo", Clock::manual(now()));
    let body = BASE64.encode(serde_json::to_vec(&claims(&[Scope::Admin])).unwrap());
    let header = BASE64.encode(br#"{"alg":"none","typ":"JWT"}"#);
    assert_eq!(
        verifier.verify(&format!("{header}.{body}.")),
        Err(TokenError::UnsupportedAlgorithm)
    );
    for nonsense in ["", "a.b.c", "Bearer", &"x".repeat(9_999)] {
        assert_eq!(verifier.verify(nonsense), Err(TokenError::Invalid));
    }
}

#[test]
fn an_ed25519_key_set_verifies_what_its_private_key_signed() {
    use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
    let pair = Ed25519KeyPair::generate().unwrap();
    let pkcs8 = pair.to_pkcs8v1().unwrap();
    let pem = format!(
        "-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n",
        base64::engine::general_purpose::STANDARD.encode(pkcs8.as_ref())
    );
    let signer = Keyring::new(&[], Some(("key-1", &pem.into())), true).unwrap();
    let token = signer.sign(&claims(&[Scope::GeoRead])).unwrap();

    let jwk = |kid: &str| -> Jwk {
        let x = BASE64.encode(pair.public_key().as_ref());
        serde_json::from_value(serde_json::json!(
            {"kty": "OKP", "crv": "Ed25519", "use": "sig", "kid": kid, "x": x}
        ))
        .unwrap()
    };
    let ring = Arc::new(Keyring::new(&[], None, true).unwrap());
    let verifier = TokenVerifier::new(ring.clone(), "geo", Clock::manual(now()));
    assert_eq!(verifier.verify(&token), Err(TokenError::Invalid));
    ring.set_public_keys(&JwkSet {
        keys: vec![jwk("another")],
    });
    assert_eq!(verifier.verify(&token), Err(TokenError::Invalid));
    let found = ring.set_public_keys(&JwkSet {
        keys: vec![jwk("key-1")],
    });
    assert_eq!(found, 1);
    assert!(verifier.verify(&token).is_ok());
    assert!(!ring.can_sign());
}

#[test]
fn weak_or_missing_keys_stop_the_start() {
    assert!(matches!(
        Keyring::new(&[], None, false),
        Err(KeyError::NoKeys)
    ));
    assert!(matches!(
        Keyring::new(&[NEW_SECRET.into(), "short".into()], None, false),
        Err(KeyError::SecretTooShort(2))
    ));
    assert!(matches!(
        Keyring::new(&[], Some(("k", &"no pem".into())), true),
        Err(KeyError::InvalidPrivateKey)
    ));
}

#[test]
fn an_issuer_keeps_its_token_until_it_is_nearly_over() {
    let clock = Clock::manual(now());
    let keys = keyring(&[NEW_SECRET]);
    let issuer = TokenIssuer::new(
        keys.clone(),
        clock.clone(),
        "visitor-analytics",
        Scope::GeoRead,
    );
    let first = issuer.token().unwrap();
    assert_eq!(issuer.token().unwrap(), first);
    clock.advance(TimeDelta::seconds(245));
    let second = issuer.token().unwrap();
    assert_ne!(second, first);
    let claims = TokenVerifier::new(keys, "geo", clock)
        .verify(&second)
        .unwrap();
    assert_eq!(claims.sub, "visitor-analytics");
    assert!(claims.scope.allows(Scope::GeoRead) && !claims.scope.allows(Scope::GeoWrite));
}

#[test]
fn times_may_have_fractions_and_what_is_critical_is_refused() {
    let verifier = TokenVerifier::new(keyring(&[NEW_SECRET]), "geo", Clock::manual(now()));
    let key = EncodingKey::from_secret(NEW_SECRET.as_bytes());
    let body = |exp: f64| serde_json::json!({"sub": "x", "aud": "geo", "exp": exp, "iat": null});
    let sign = |header: &jsonwebtoken::Header, exp: f64| {
        jsonwebtoken::encode(header, &body(exp), &key).unwrap()
    };
    let plain = jsonwebtoken::Header::new(Algorithm::HS256);
    let soon = 1_795_176_060.5;
    assert!(verifier.verify(&sign(&plain, soon)).is_ok());
    assert_eq!(
        verifier.verify(&sign(&plain, 1.5)),
        Err(TokenError::Expired)
    );
    let mut critical = plain;
    critical.crit = Some(vec!["b64".into()]);
    assert_eq!(
        verifier.verify(&sign(&critical, soon)),
        Err(TokenError::Invalid)
    );
}
