//! Hosts and paths of URLs in the form that people read.
//!
//! The results are for texts and screens. They are not URLs: store and compare the original.

mod host;
mod path;

pub use self::host::readable_host;
pub use self::path::readable_path;
