//! The `geo` binary.
#![forbid(unsafe_code)]

use std::process::ExitCode;

use common::clock::Clock;
use geo::config::{Command, Config};

/// Requests allocate on one thread and free on another, which is slow with the allocator of glibc
/// (measured with `./dev bench geo`).
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let config: Config = chassis::settings::parse();
    chassis::process::run(async |shutdown| match config.command.unwrap_or_default() {
        Command::Migrate => geo::migrate(&config).await,
        Command::Serve => {
            let listener = chassis::app::listen(config.service.port)?;
            let app = geo::build(&config, Clock::system())?;
            app.serve(listener, shutdown).await
        }
    })
}
