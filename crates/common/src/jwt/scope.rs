//! The permissions in a token.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// All services, as values of the claim `aud`.
pub const AUDIENCES: [&str; 3] = ["geo", "visitor-analytics", "notification"];

/// One permission.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Locate addresses and read service areas.
    GeoRead,
    /// Change service areas.
    GeoWrite,
    /// Record visits and events.
    VisitsWrite,
    /// Read visits, sessions and reports.
    VisitsRead,
    /// Send notifications.
    NotifySend,
    /// Read notifications, rules and recipients.
    NotifyRead,
    /// Change rules and recipients, and send dead letters again.
    NotifyWrite,
    /// All permissions in all services.
    Admin,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown scope {0:?}; the scopes are {all}", all = ScopeSet::all())]
pub struct UnknownScope(pub String);

impl Scope {
    /// All scopes, in the order of the documentation.
    pub const ALL: [Self; 8] = [
        Self::GeoRead,
        Self::GeoWrite,
        Self::VisitsWrite,
        Self::VisitsRead,
        Self::NotifySend,
        Self::NotifyRead,
        Self::NotifyWrite,
        Self::Admin,
    ];

    /// The name in tokens.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::GeoRead => "geo:read",
            Self::GeoWrite => "geo:write",
            Self::VisitsWrite => "visits:write",
            Self::VisitsRead => "visits:read",
            Self::NotifySend => "notify:send",
            Self::NotifyRead => "notify:read",
            Self::NotifyWrite => "notify:write",
            Self::Admin => "admin",
        }
    }

    /// The services that use this scope.
    #[must_use]
    pub const fn audiences(self) -> &'static [&'static str] {
        match self {
            Self::GeoRead | Self::GeoWrite => &["geo"],
            Self::VisitsWrite | Self::VisitsRead => &["visitor-analytics"],
            Self::NotifySend | Self::NotifyRead | Self::NotifyWrite => &["notification"],
            Self::Admin => &AUDIENCES,
        }
    }

    const fn bit(self) -> u8 {
        1 << self as u8
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Scope {
    type Err = UnknownScope;

    fn from_str(name: &str) -> Result<Self, UnknownScope> {
        Self::ALL
            .into_iter()
            .find(|scope| scope.as_str() == name)
            .ok_or_else(|| UnknownScope(name.to_owned()))
    }
}

/// A set of scopes. Serialized as names separated by spaces (RFC 8693 §4.2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ScopeSet(u8);

impl ScopeSet {
    #[must_use]
    pub fn all() -> Self {
        Scope::ALL.into_iter().collect()
    }

    /// Whether the set contains `scope` or `admin`.
    #[must_use]
    pub const fn allows(self, scope: Scope) -> bool {
        self.0 & (scope.bit() | Scope::Admin.bit()) != 0
    }

    pub fn iter(self) -> impl Iterator<Item = Scope> {
        Scope::ALL
            .into_iter()
            .filter(move |scope| self.0 & scope.bit() != 0)
    }
}

impl FromIterator<Scope> for ScopeSet {
    fn from_iter<I: IntoIterator<Item = Scope>>(scopes: I) -> Self {
        Self(scopes.into_iter().fold(0, |set, scope| set | scope.bit()))
    }
}

impl fmt::Display for ScopeSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.iter().map(Scope::as_str).collect();
        f.write_str(&names.join(" "))
    }
}

impl Serialize for ScopeSet {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ScopeSet {
    /// Ignores unknown names, so that tokens of newer issuers are accepted.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let names = String::deserialize(deserializer)?;
        Ok(names
            .split_ascii_whitespace()
            .filter_map(|name| name.parse::<Scope>().ok())
            .collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_scope_survives_its_name() {
        for scope in Scope::ALL {
            assert_eq!(scope.as_str().parse(), Ok(scope));
        }
        assert_eq!(
            "visits".parse::<Scope>(),
            Err(UnknownScope("visits".into()))
        );
    }

    #[test]
    fn admin_allows_everything_and_others_only_themselves() {
        let admin: ScopeSet = [Scope::Admin].into_iter().collect();
        let reader: ScopeSet = [Scope::VisitsRead].into_iter().collect();
        for scope in Scope::ALL {
            assert!(admin.allows(scope));
            assert_eq!(reader.allows(scope), scope == Scope::VisitsRead);
        }
    }
}
