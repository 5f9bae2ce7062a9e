//! What judges visits, built from the service's own files (`domain` is a link to them).

pub mod enriched_visit;
pub mod privacy;
pub mod session;
pub mod source;
pub mod visit;
pub mod visit_enricher;
pub mod visitor_id;
