//! Who is to be told: an address, or a name that stands for one or more.

use std::fmt;
use std::str::FromStr;

use super::target::Target;

/// The longest name of a recipient or a group, in characters.
pub const NAME_CHARS: usize = 60;

/// Somebody, as rules and requests name them.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Whom {
    /// Whom the settings name, else the log.
    Default,
    /// An address.
    Target(Target),
    /// All addresses of the recipient of that name.
    Recipient(String),
    /// All recipients of that group.
    Group(String),
}

/// A text that names nobody.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "nobody can be named so; name {}, `recipient:NAME`, `group:NAME` or `default`",
    super::target::FORMS
)]
pub struct NoOne;

/// Whether it may be the name of a recipient or a group.
#[must_use]
pub fn is_name(text: &str) -> bool {
    let known = |c: char| c.is_alphanumeric() || matches!(c, '_' | '.' | '-');
    !text.is_empty() && text.chars().nth(NAME_CHARS).is_none() && text.chars().all(known)
}

impl FromStr for Whom {
    type Err = NoOne;

    fn from_str(text: &str) -> Result<Self, NoOne> {
        let named = |name: &str| is_name(name).then(|| name.to_owned()).ok_or(NoOne);
        match (text, text.split_once(':')) {
            ("default", _) => Ok(Self::Default),
            (_, Some(("recipient", name))) => named(name).map(Self::Recipient),
            (_, Some(("group", name))) => named(name).map(Self::Group),
            _ => text.parse().map(Self::Target).map_err(|_| NoOne),
        }
    }
}

impl fmt::Display for Whom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::Target(target) => target.fmt(f),
            Self::Recipient(name) => write!(f, "recipient:{name}"),
            Self::Group(name) => write!(f, "group:{name}"),
        }
    }
}
