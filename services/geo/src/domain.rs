//! Decides: which addresses can be located at all, and what is known about countries.

mod address;
pub mod countries;

pub use address::{LocateError, Reserved, parse};
