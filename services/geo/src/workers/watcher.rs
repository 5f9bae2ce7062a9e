//! Reloads changed database files.

use std::time::Duration;

use chassis::panics::catch_panic;
use tokio_util::sync::CancellationToken;

use crate::clients::DatabaseWatcher;

/// Polls the files until `stop`. Unlike file system events, polling works on every kind of volume,
/// and it costs one `stat` per file.
pub async fn run(mut watch: DatabaseWatcher, interval: Duration, stop: CancellationToken) {
    loop {
        tokio::select! {
            () = tokio::time::sleep(interval) => {}
            () = stop.cancelled() => return,
        }
        let look = move || {
            // The cause may be temporary, such as a file that is being written.
            if let Err(panic) = catch_panic(|| watch.poll()) {
                tracing::error!(%panic, "the check for changed databases panicked; retrying later");
            }
            watch
        };
        match tokio::task::spawn_blocking(look).await {
            Ok(back) => watch = back,
            Err(error) => {
                tracing::error!(
                    %error,
                    "changed databases are no longer reloaded; restart the service"
                );
                return;
            }
        }
    }
}
