//! Notices changed databases.

use std::time::Duration;

use chassis::panics::catch_panic;
use tokio_util::sync::CancellationToken;

use crate::clients::DatabaseWatcher;

/// Looks again and again until `stop`. Polling sees what every kind of file system does, also
/// network volumes, and costs one `stat` a file.
pub async fn run(mut watch: DatabaseWatcher, interval: Duration, stop: CancellationToken) {
    loop {
        tokio::select! {
            () = tokio::time::sleep(interval) => {}
            () = stop.cancelled() => return,
        }
        let look = move || {
            // What made one look panic may be gone at the next: a file that is being written.
            if let Err(panic) = catch_panic(|| watch.look()) {
                tracing::error!(%panic, "databases are looked at again later");
            }
            watch
        };
        match tokio::task::spawn_blocking(look).await {
            Ok(back) => watch = back,
            Err(error) => {
                tracing::error!("databases are not watched any more: {error}");
                return;
            }
        }
    }
}
