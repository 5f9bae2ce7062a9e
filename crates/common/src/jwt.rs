//! JWT (RFC 7519) between the services and their clients: what a token grants ([`Claims`]),
//! who may sign ([`Keyring`]), checking ([`TokenVerifier`]) and making ([`TokenIssuer`]) tokens.

mod claims;
mod keyring;
mod minter;
mod scope;
mod verifier;

pub use claims::Claims;
pub use keyring::{KeyError, Keyring};
pub use minter::TokenIssuer;
pub use scope::{AUDIENCES, Scope, ScopeSet, UnknownScope};
pub use verifier::{TokenError, TokenVerifier};
