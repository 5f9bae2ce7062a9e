//! The domain: validation of visits, visitor ids, sessions, sources, bot rules and aggregation. No
//! I/O.

pub mod agent;
pub mod bot;
pub mod classified;
pub mod classifier;
pub mod day;
pub mod dimension;
pub mod engagement;
pub mod event;
pub mod explanation;
pub mod export;
mod expressions;
pub mod filters;
pub mod fold;
pub mod funnel;
pub mod goal;
pub mod import;
pub mod journey;
pub mod network;
pub mod pack;
pub mod pattern;
pub mod pick;
pub mod policy;
pub mod quarters;
pub mod question;
pub mod retention;
pub mod scan;
pub mod segment;
pub mod session;
pub mod site;
pub mod source;
pub mod sums;
pub mod varint;
pub mod visit;
pub mod visitor;
