//! Pages of a list: `?limit=&cursor=`, answered with `{"data":[…],"next_cursor":…}`.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

/// The most items of a page.
const MAX_PAGE_SIZE: u16 = 500;

/// How many items a page has: 1 to 500, 50 unless told.
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
            _ => Err(format!("a page has 1 to {MAX_PAGE_SIZE} items")),
        }
    }
}

impl PageLimit {
    /// One more than the page has, which tells whether another follows.
    #[must_use]
    pub fn and_one(self) -> i64 {
        i64::from(self.0) + 1
    }

    /// Cuts what [`PageLimit::and_one`] brought to a page; the cursor is where the next one begins.
    pub fn cut<T>(self, items: &mut Vec<T>, id: impl Fn(&T) -> Uuid) -> Option<Uuid> {
        let more = items.len() > usize::from(self.0);
        items.truncate(self.0.into());
        items.last().filter(|_| more).map(id)
    }
}

/// A page of a list.
#[derive(Debug, Serialize, ToSchema)]
pub struct Page<T> {
    /// The items, the newest first.
    pub data: Vec<T>,
    /// To be sent as `cursor` for the next page; null on the last one.
    pub next_cursor: Option<Uuid>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_has_a_next_one_only_where_more_follows() {
        let id = |item: &u128| Uuid::from_u128(*item);
        let mut three = vec![9, 8, 7];
        assert_eq!(PageLimit(2).cut(&mut three, id), Some(Uuid::from_u128(8)));
        assert_eq!(three, [9, 8]);
        assert_eq!(PageLimit(2).cut(&mut three, id), None);
        assert!(PageLimit::try_from(0).is_err() && PageLimit::try_from(501).is_err());
    }
}
