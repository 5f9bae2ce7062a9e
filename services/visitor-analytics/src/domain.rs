//! Decides: what a valid visit is, who visits, from where they came, and whether they are people.
//! No I/O.

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
