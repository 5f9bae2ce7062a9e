//! The `visitor-analytics` program.
#![forbid(unsafe_code)]

use std::io::Write as _;
use std::process::ExitCode;

use common::clock::Clock;
use visitor_analytics::config::{Command, Config};

/// Requests move between threads and free memory that another thread has allocated, where glibc's
/// allocator contends for locks (measured with `./dev bench ingest`).
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let config: Config = chassis::settings::parse();
    chassis::process::run(
        async |shutdown| match config.command.clone().unwrap_or_default() {
            Command::Migrate => visitor_analytics::migrate(&config).await,
            Command::Retention { dry_run } => {
                let text =
                    visitor_analytics::app::retention::run(&config, &Clock::system(), dry_run)
                        .await?;
                Ok(std::io::stdout().write_all(text.as_bytes())?)
            }
            Command::Reclassify(args) => {
                let report =
                    visitor_analytics::app::reclassify::run(&config, &Clock::system(), args)
                        .await?;
                Ok(write!(std::io::stdout(), "{report}")?)
            }
            Command::Verify(args) => {
                let report = visitor_analytics::app::verify::run(&config, &args).await?;
                write!(std::io::stdout(), "{report}")?;
                anyhow::ensure!(report.mismatches == 0, "rollups differ from the visits");
                Ok(())
            }
            Command::Serve => {
                let listener = chassis::app::listen(config.service.port)?;
                let app = visitor_analytics::build(&config, Clock::system())?;
                app.serve(listener, shutdown).await
            }
        },
    )
}
