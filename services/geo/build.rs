//! Rebuilds the crate when a migration is added, because the migrations are embedded.
#![allow(clippy::print_stdout, reason = "cargo reads the standard output")]

fn main() {
    println!("cargo:rerun-if-changed=../../migrations/geo");
}
