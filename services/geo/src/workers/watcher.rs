//! Notices changed databases.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::clients::Watch;

/// Looks again and again until `stop`. Polling sees what every kind of file system does, also
/// network volumes, and costs one `stat` a file.
pub async fn run(mut watch: Watch, interval: Duration, stop: CancellationToken) {
    loop {
        tokio::select! {
            () = tokio::time::sleep(interval) => {}
            () = stop.cancelled() => return,
        }
        let look = move || {
            watch.look();
            watch
        };
        match tokio::task::spawn_blocking(look).await {
            Ok(back) => watch = back,
            Err(error) => {
                // It was lost with the panic.
                tracing::error!("databases are not watched any more: {error}");
                return;
            }
        }
    }
}
