//! `geo` as a process of its own.
#![forbid(unsafe_code)]

use std::process::ExitCode;

use common::clock::Clock;
use geo::config::{Command, Config};

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
