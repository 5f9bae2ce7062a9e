//! What sessions have to reach to count in a report.

use std::collections::HashMap;
use std::sync::Arc;

use super::pattern::WildcardPattern;

/// The times of events by visitor key, in seconds since 1970 and in ascending order.
pub type EventTimes = HashMap<u64, Vec<i64>>;

/// What sessions have to reach to count.
#[derive(Clone, Debug)]
pub enum GoalMatcher {
    /// A visit of such a page.
    Page(WildcardPattern),
    /// One of these events.
    Event(Arc<EventTimes>),
}
