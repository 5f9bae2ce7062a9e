//! Tokens (JWT, RFC 7519) of services and clients: contents ([`Claims`]), keys ([`Keyring`]),
//! verification ([`TokenVerifier`]) and creation ([`TokenIssuer`]).

mod claims;
mod issuer;
mod keyring;
mod scope;
mod verifier;

pub use claims::Claims;
pub use issuer::TokenIssuer;
pub use keyring::{KeyError, Keyring};
pub use scope::{AUDIENCES, Scope, ScopeSet, UnknownScope};
pub use verifier::{TokenError, TokenVerifier};
