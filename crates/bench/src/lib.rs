//! Shared code of the benchmarks.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, reason = "benchmarks fail by panicking")]

mod city_database;
mod load;
mod process;

pub use city_database::{NETWORK_COUNT, city_database};
pub use load::{LoadGenerator, LoadResult, get_request, post_request};
pub use process::{CpuTime, MeasuredProcess, free_port, parent_pid};

/// A random number generator (xorshift) with a fixed seed, so that all runs are equal. The seed
/// must not be 0.
pub struct SeededRandom(pub u64);

impl SeededRandom {
    /// Returns a number below `limit`.
    pub fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }

    /// Returns a number between `low` and `high`.
    pub fn between(&mut self, low: f64, high: f64) -> f64 {
        let part = f64::from(u32::try_from(self.below(1 << 32)).unwrap());
        low + (high - low) * part / f64::from(u32::MAX)
    }
}
