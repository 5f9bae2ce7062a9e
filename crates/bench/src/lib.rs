//! What the benchmarks share. Nothing that is shipped uses it.
#![forbid(unsafe_code)]
#![allow(
    clippy::unwrap_used,
    reason = "a benchmark may end where something is wrong"
)]

mod city;
mod load;
mod process;

pub use city::{NETWORK_COUNT, city_database};
pub use load::{LoadGenerator, LoadResult, get, post};
pub use process::{CpuTime, MeasuredProcess, free_port, parent};

/// A small generator (xorshift), so that every run does the same. Its seed is not 0.
pub struct SeededRandom(pub u64);

impl SeededRandom {
    /// A number below `limit`.
    pub fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }

    /// A number from `low` up to `high`.
    pub fn between(&mut self, low: f64, high: f64) -> f64 {
        let part = f64::from(u32::try_from(self.below(1 << 32)).unwrap());
        low + (high - low) * part / f64::from(u32::MAX)
    }
}
