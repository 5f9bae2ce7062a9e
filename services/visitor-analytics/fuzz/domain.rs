//! What judges visits, built from the service's own files (`domain` is a link to them).

pub mod classified;
pub mod classifier;
pub mod policy;
pub mod session;
pub mod source;
pub mod visit;
pub mod visitor;
