//! `geo` as a process of its own.
#![forbid(unsafe_code)]

use std::process::ExitCode;

use geo::config::Config;

fn main() -> ExitCode {
    let config: Config = chassis::settings::parse();
    chassis::process::run(async |shutdown| {
        let listener = chassis::app::listen(config.service.port)?;
        geo::serve(&config, listener, shutdown).await
    })
}
