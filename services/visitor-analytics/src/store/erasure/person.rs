//! The person to erase.

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Person<'a> {
    /// Everything about one visitor id.
    Visitor(&'a str),
    /// Everything about the site's own user id, and the visits of the same visitors without any
    /// user id. Their visits with another user id belong to another person.
    User(&'a str),
}

impl<'a> Person<'a> {
    pub(super) fn user_id(self) -> Option<&'a str> {
        match self {
            Self::Visitor(_) => None,
            Self::User(id) => Some(id),
        }
    }
}
