//! The claims of a token.

use serde::{Deserialize, Serialize};

use super::ScopeSet;

/// The claims of a token (RFC 7519 §4.1, RFC 8693 §4.2). Times are Unix timestamps in seconds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    /// The issuer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub iss: Option<String>,
    /// The subject, such as `django`.
    pub sub: String,
    /// The services for which the token is valid.
    #[serde(deserialize_with = "one_or_many")]
    pub aud: Vec<String>,
    /// When the token expires.
    #[serde(deserialize_with = "seconds")]
    pub exp: i64,
    /// When the token becomes valid.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "perhaps_seconds"
    )]
    pub nbf: Option<i64>,
    /// When the token was issued.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "perhaps_seconds"
    )]
    pub iat: Option<i64>,
    #[serde(default)]
    pub scope: ScopeSet,
    /// Domains of the sites to which the token is restricted. Without it, the token is valid for
    /// all sites.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sites: Option<Vec<String>>,
}

/// `aud` is a string or a list of strings.
fn one_or_many<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum OneOrMany {
        One(String),
        Many(Vec<String>),
    }
    Ok(match OneOrMany::deserialize(deserializer)? {
        OneOrMany::One(one) => vec![one],
        OneOrMany::Many(many) => many,
    })
}

/// A `NumericDate` (RFC 7519 §2) may have a fraction.
#[derive(Deserialize)]
#[serde(untagged)]
enum NumericDate {
    Whole(i64),
    Fraction(f64),
}

impl From<NumericDate> for i64 {
    fn from(date: NumericDate) -> Self {
        match date {
            NumericDate::Whole(seconds) => seconds,
            #[expect(
                clippy::cast_possible_truncation,
                reason = "the fraction does not matter"
            )]
            NumericDate::Fraction(seconds) => seconds as Self,
        }
    }
}

fn seconds<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<i64, D::Error> {
    NumericDate::deserialize(deserializer).map(Into::into)
}

fn perhaps_seconds<'de, D>(deserializer: D) -> Result<Option<i64>, D::Error>
where
    D: serde::Deserializer<'de>,
{
    let date = Option::<NumericDate>::deserialize(deserializer)?;
    Ok(date.map(Into::into))
}
