//! The `notification` binary.
#![forbid(unsafe_code)]

use std::process::ExitCode;

use common::clock::Clock;
use notification::config::{Command, Config};

/// Requests allocate on one thread and free on another, which is slow with the allocator of glibc
/// (measured with `./dev bench notify`).
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let config: Config = chassis::settings::parse();
    chassis::process::run(async |shutdown| match config.command.unwrap_or_default() {
        Command::Serve => {
            let listener = chassis::app::listen(config.service.port)?;
            let app = notification::build(&config, Clock::system())?;
            app.serve(listener, shutdown).await
        }
        Command::Migrate => notification::migrate(&config).await,
    })
}
