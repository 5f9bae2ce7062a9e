//! Lookups by id that are limited to certain sites.

/// The result of a lookup by id that is limited to certain sites.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SiteLookup<T> {
    /// The row belongs to one of these sites.
    Found(T),
    /// The row belongs to another site; nothing of it was read.
    OtherSite,
    /// No row has this id.
    Missing,
}

impl<T> SiteLookup<T> {
    pub(super) fn not_found(is_of_another_site: bool) -> Self {
        if is_of_another_site {
            Self::OtherSite
        } else {
            Self::Missing
        }
    }
}
