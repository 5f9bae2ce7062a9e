//! The report engine: aggregates of days, and what reports compute from them.
//!
//! A day is a site's local day ([`day`]). Closed days are stored in two forms:
//! - Aggregates by dimension and value: [`aggregate`] computes them, [`aggregate_codec`] encodes them
//!   and adds them up. [`quarter_hours`] stores quarter hours, from which days of other time zones
//!   are computed.
//! - The visits themselves as column blocks ([`column_block`]), for reports with filters.
//!
//! A report is a period and filters ([`query`], [`filters`]). [`scan`] evaluates it on column
//! blocks; [`funnel`], [`paths`] and [`cohort`] compute funnels, paths and cohorts;
//! [`distinct_visitors`] counts the visitors of several days once. The crate does no I/O: its user
//! stores the bytes.
//!
//! ```
//! use rollups::funnel::{FunnelEvent, FunnelEvents, FunnelRules};
//!
//! // A visitor takes step 1 and, ten seconds later, step 2. Each step is a bit.
//! let mut events = FunnelEvents::default();
//! for (sequence, timestamp, matching_steps) in [(0, 0, 0b01), (1, 10, 0b10)] {
//!     events.push(FunnelEvent { visitor: 1, timestamp, sequence, matching_steps });
//! }
//! let rules = FunnelRules { step_count: 2, is_strict: false, window_seconds: 60 };
//! assert_eq!(rules.count_visitors(events), [1, 1]);
//! ```
#![forbid(unsafe_code)]

pub mod aggregate;
pub mod aggregate_codec;
pub mod cohort;
pub mod column_block;
pub mod day;
pub mod dimension;
pub mod distinct_visitors;
pub mod filters;
pub mod funnel;
pub mod goal;
pub mod paths;
pub mod pattern;
pub mod quarter_hours;
pub mod query;
pub mod scan;
pub mod varint;
