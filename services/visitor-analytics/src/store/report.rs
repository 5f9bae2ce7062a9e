//! Reports on the visits of a site: computed from rollups where they exist, otherwise from column
//! blocks. All metrics add up over days.

mod breakdown;
mod cohort;
mod column_reader;
mod day_aggregates;
mod dirty_days;
mod folded_days;
mod funnel;
mod hours;
mod lru;
mod paths;
mod plan;
mod query;
mod realtime;
mod result_cache;
mod series;
mod time_zone_shift;

pub use breakdown::{BreakdownOrder, BreakdownQuery, BreakdownRow};
pub(in crate::store) use day_aggregates::DayAggregateCache;
pub use funnel::{BoundedResult, FunnelStep};
pub use paths::{AdjacentPageCounts, AdjacentPagesReport, SessionPath};
pub use query::{AsOf, ReportQuery, ReportSite};
pub use realtime::{REALTIME_MINUTES, RealtimeReport};
pub(in crate::store) use result_cache::ResultCache;
