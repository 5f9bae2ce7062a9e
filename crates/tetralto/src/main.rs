//! The whole system in one process: PostgreSQL, geo, visitor-analytics and notification, talking
//! REST over loopback as they do in production.

mod cli;
mod postgres;
mod system;
mod throwaway;
mod token;

use std::process::ExitCode;

use cli::{Cli, Command};

/// Requests go from thread to thread and take their memory with them, which glibc's allocator
/// makes them wait for (`./dev bench ingest`).
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let cli: Cli = chassis::settings::parse();
    let done = match &cli.command {
        None => system::run(&cli.system),
        Some(Command::Postgres { durable, command }) => throwaway::run(command, *durable),
        Some(Command::Token(wanted)) => token::print(&cli.system, wanted),
    };
    done.unwrap_or_else(|error| {
        cli::complain(&error);
        ExitCode::FAILURE
    })
}
