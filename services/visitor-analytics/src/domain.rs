//! The domain: validation of visits, visitor ids, sessions, sources, bot rules and aggregation. No
//! I/O.

pub mod classified;
pub mod classifier;
pub mod engagement;
pub mod event;
pub mod explanation;
pub mod export;
pub mod goal;
pub mod import;
pub mod network;
pub mod pick;
pub mod policy;
pub mod segment;
pub mod session;
pub mod site;
pub mod source;
pub mod visit;
pub mod visitor;
