//! Accepting connections: so many at a time, each with limits, and finishing them in the end.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

/// Connections that are open at a time; others wait to be accepted.
const MOST: usize = 4_096;
/// A request's head must be there within this time, and a kept connection used again; our own
/// clients let go of theirs earlier.
const HEAD: Duration = Duration::from_secs(30);
/// A pause after an accept that failed, such as for want of file descriptors.
const PAUSE: Duration = Duration::from_millis(100);

/// Serves until `shutdown`, then finishes the requests that were accepted.
pub async fn serve(listener: TcpListener, router: Router, shutdown: CancellationToken) {
    let room = Arc::new(Semaphore::new(MOST));
    let finishing = GracefulShutdown::new();
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD);
    builder.http2().timer(TokioTimer::new());
    loop {
        let accepted = async {
            let place = room.clone().acquire_owned().await;
            (place, listener.accept().await)
        };
        let (place, accepted) = tokio::select! {
            accepted = pin!(accepted) => accepted,
            () = shutdown.cancelled() => break,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!(%error, "a connection was not accepted");
                tokio::time::sleep(PAUSE).await;
                continue;
            }
        };
        let service = router
            .clone()
            .map_request(|request: Request<Incoming>| request.map(Body::new));
        let connection = builder.serve_connection(plain(stream), TowerToHyperService::new(service));
        let connection = finishing.watch(connection.into_owned());
        tokio::spawn(async move {
            // Whatever ends a connection early is the client's affair.
            let _ = connection.await;
            drop(place);
        });
    }
    drop(listener);
    finishing.shutdown().await;
}

fn plain(stream: TcpStream) -> TokioIo<TcpStream> {
    // Answers are small; waiting to fill a packet would only delay them.
    let _ = stream.set_nodelay(true);
    TokioIo::new(stream)
}
