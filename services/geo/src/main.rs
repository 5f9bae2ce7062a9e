//! `geo` as a process of its own.
#![forbid(unsafe_code)]

use std::process::ExitCode;

use common::clock::Clock;
use geo::config::Config;

fn main() -> ExitCode {
    let config: Config = chassis::settings::parse();
    chassis::process::run(async |shutdown| {
        let listener = chassis::app::listen(config.service.port)?;
        let app = geo::build(&config, Clock::system())?;
        app.serve(listener, shutdown).await
    })
}
