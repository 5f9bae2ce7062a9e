//! `./dev score`: how well people are told from bots, and devices and sources are recognised, on the
//! labelled lists of `corpus/` (its README says what they are). Fails below the levels that the
//! service promises.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, reason = "a test ends where something is wrong")]

mod agents;
mod bots;
mod circumstances;
mod hostile;
mod origins;

use std::io::Write as _;

/// A list of the corpus, one entry a line.
fn corpus(name: &str) -> Vec<String> {
    let path = format!("{}/corpus/{name}", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    text.lines().map(str::to_owned).collect()
}

/// Prints `what: hits of all`, and those of the misses that one may look at.
fn told(what: &str, all: usize, misses: &[String]) -> f64 {
    let share = 100.0 * (all - misses.len()) as f64 / all as f64;
    let mut out = std::io::stdout().lock();
    writeln!(
        out,
        "{what:<52} {:>5} of {all:>5}  {share:.2} %",
        all - misses.len()
    )
    .unwrap();
    // The part that is only scored is not looked at.
    if !what.contains("only scored") {
        for miss in misses {
            writeln!(out, "    {miss}").unwrap();
        }
    }
    share
}
