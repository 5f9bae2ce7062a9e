//! The domain: validation of visits, visitor ids, sessions, sources, bot rules and aggregation. No
//! I/O.

pub mod engagement;
pub mod enriched_visit;
pub mod event;
pub mod export;
pub mod goal;
pub mod import;
pub mod network;
pub mod notification_status;
pub mod privacy;
pub mod segment;
pub mod session;
pub mod site;
pub mod source;
pub mod visit;
pub mod visit_enricher;
pub mod visit_filter;
pub mod visitor_id;
pub mod visitor_id_kind;
