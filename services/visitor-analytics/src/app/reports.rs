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
mod paths;
mod plan;
mod query;
mod report_engine;
mod result_cache;
mod series;
mod sized_cache;
mod time_zone_shift;

pub use breakdown::{BreakdownOrder, BreakdownQuery, BreakdownRow};
pub use funnel::FunnelStep;
pub use paths::{AdjacentPageCounts, AdjacentPagesReport, SessionPath};
pub use query::{AsOf, BoundedResult, ReportQuery};
pub use report_engine::ReportEngine;
