//! Decides: which addresses can be located at all, what is known about countries, and whether a
//! provider that costs something may be asked.

mod address;
mod allowance;
pub mod countries;

pub use address::{LocateError, Reserved, parse};
pub use allowance::{Allowance, State, Trouble};
