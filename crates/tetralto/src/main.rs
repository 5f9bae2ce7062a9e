//! Runs geo, visitor-analytics and notification in one process on a private PostgreSQL. The
//! services talk REST over loopback, as in production.

mod cli;
mod postgres;
mod system;
mod temporary_database;
mod token;

use std::process::ExitCode;

use cli::{Cli, Command};

/// Requests move between threads together with their memory. glibc's allocator is slow at freeing
/// memory of other threads (`./dev bench ingest`).
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let cli: Cli = chassis::settings::parse();
    let done = match &cli.command {
        None => system::run(&cli.system),
        Some(Command::Postgres { durable, command }) => temporary_database::run(command, *durable),
        Some(Command::Token(wanted)) => token::print(&cli.system, wanted),
    };
    done.unwrap_or_else(|error| {
        cli::print_error(&error);
        ExitCode::FAILURE
    })
}
