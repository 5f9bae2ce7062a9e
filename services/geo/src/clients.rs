//! Asks: the databases that know where addresses are.

mod embedded;
mod locator;
mod mmdb;

pub use locator::{Locator, OpenError};
