//! Pagination: `?limit=&cursor=` returns `{"data":[…],"next_cursor":…}`.

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

const MAX_PAGE_SIZE: u16 = 500;

/// Maximum number of items of a page: 1 to 500, default 50.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(try_from = "u16")]
pub struct PageLimit(u16);

impl Default for PageLimit {
    fn default() -> Self {
        Self(50)
    }
}

impl TryFrom<u16> for PageLimit {
    type Error = String;

    fn try_from(limit: u16) -> Result<Self, String> {
        match limit {
            1..=MAX_PAGE_SIZE => Ok(Self(limit)),
            _ => Err(format!("`limit` must be between 1 and {MAX_PAGE_SIZE}")),
        }
    }
}

impl PageLimit {
    /// The number of rows to query: one more than the page, to find out whether another page
    /// follows.
    #[must_use]
    pub fn with_lookahead(self) -> i64 {
        i64::from(self.0) + 1
    }

    /// Truncates the rows of a query with [`PageLimit::with_lookahead`] to a page. Returns the cursor of
    /// the next page, if there is one.
    pub fn truncate_page<T>(self, items: &mut Vec<T>, id: impl Fn(&T) -> Uuid) -> Option<Uuid> {
        let more = items.len() > usize::from(self.0);
        items.truncate(self.0.into());
        items.last().filter(|_| more).map(id)
    }
}

/// The query parameters of a list without filters.
#[derive(Clone, Copy, Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct ListParams {
    /// Maximum number of items per page: 1 to 500. Default: 50.
    #[serde(default)]
    #[param(value_type = Option<u16>, minimum = 1, maximum = 500)]
    pub limit: PageLimit,
    /// `next_cursor` of the previous page.
    pub cursor: Option<Uuid>,
}

/// One page of a list.
#[derive(Debug, Serialize, ToSchema)]
pub struct Page<T> {
    /// The items, newest first.
    pub data: Vec<T>,
    /// Value of the parameter `cursor` for the next page. Null on the last page.
    pub next_cursor: Option<Uuid>,
}

impl<T> Page<T> {
    /// Makes a page of the rows of a query with [`PageLimit::with_lookahead`].
    pub fn from_rows<R>(
        mut rows: Vec<R>,
        limit: PageLimit,
        id: impl Fn(&R) -> Uuid,
        item: impl FnMut(R) -> T,
    ) -> Self {
        let next_cursor = limit.truncate_page(&mut rows, id);
        let data = rows.into_iter().map(item).collect();
        Self { data, next_cursor }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_has_a_next_one_only_where_more_follows() {
        let id = |item: &u128| Uuid::from_u128(*item);
        let mut three = vec![9, 8, 7];
        assert_eq!(
            PageLimit(2).truncate_page(&mut three, id),
            Some(Uuid::from_u128(8))
        );
        assert_eq!(three, [9, 8]);
        assert_eq!(PageLimit(2).truncate_page(&mut three, id), None);
        assert!(PageLimit::try_from(0).is_err() && PageLimit::try_from(501).is_err());
    }
}
