//! Reports: `GET /analytics/…`.

pub(super) mod bots;
pub(super) mod breakdown;
pub(super) mod cohorts;
pub(super) mod funnel;
pub(super) mod journeys;
pub(super) mod realtime;
pub(super) mod report_request;
mod response;
pub(super) mod summary;
pub(super) mod timeseries;
