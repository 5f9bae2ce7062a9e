//! Reports on the visits of a site: computed from rollups where they exist, otherwise from column
//! blocks. All metrics add up over days, except for visitors whose ids last longer.

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
mod repeat_visitors;
mod report_engine;
mod result_cache;
mod series;
mod sized_cache;
mod time_zone_shift;
mod visitors;
mod visitors_by_hour;

pub use breakdown::{Breakdown, BreakdownOrder, BreakdownQuery, BreakdownRow};
pub use funnel::FunnelStep;
pub use paths::{AdjacentPageCounts, AdjacentPagesReport, SessionPath};
pub use query::{AsOf, BoundedResult, ReportQuery};
pub use report_engine::ReportEngine;
pub use series::{PeriodTotals, Series};
pub use visitors::VisitorCounting;
