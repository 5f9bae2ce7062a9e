//! A token's content.

use serde::{Deserialize, Serialize};

use super::ScopeSet;

/// What a token says (RFC 7519 §4.1, RFC 8693 §4.2). Times are seconds since the epoch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    /// Who made the token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub iss: Option<String>,
    /// Whom it was made for, such as `django`.
    pub sub: String,
    /// The services it is meant for.
    #[serde(deserialize_with = "one_or_many")]
    pub aud: Vec<String>,
    /// When it ends.
    #[serde(deserialize_with = "seconds")]
    pub exp: i64,
    /// When it begins, where that is not at once.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "perhaps_seconds"
    )]
    pub nbf: Option<i64>,
    /// When it was made.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "perhaps_seconds"
    )]
    pub iat: Option<i64>,
    /// What it allows.
    #[serde(default)]
    pub scope: ScopeSet,
    /// The only sites that it is about, by their domains; all of them without it.
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
