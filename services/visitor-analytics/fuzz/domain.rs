//! What judges visits, built from the service's own files (`domain` is a link to them).

pub mod agent;
pub mod bot;
pub mod classified;
pub mod classifier;
mod expressions;
pub mod policy;
pub mod session;
pub mod source;
pub mod visit;
pub mod visitor;
