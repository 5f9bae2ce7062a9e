//! The HTTP server: accepts a bounded number of connections, each with limits, and drains them at
//! shutdown.
//!
//! Connections have no timers of their own. Each one counts its activity ([`activity`]). A sweep
//! once per second ([`table`]) closes connections without activity. If all slots are in use, a new
//! connection replaces those that have been idle longest, so that accepting never waits for a
//! client.

mod activity;
mod limits;
mod stream;
mod table;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

use activity::RequestGuard;
pub use limits::ConnectionLimits;
use stream::CountedStream;
use table::{ConnectionSlot, ConnectionTable, lock};

/// Buffer size of an HTTP/1 connection. The head of a request must fit. The default of hyper is
/// 400 kB.
const MAX_BUFFER_BYTES: usize = 65_536;
/// Maximum size of the headers of an HTTP/2 request.
const MAX_HEADER_BYTES: u32 = 32_768;
/// Send buffer of a socket in the kernel, which otherwise may grow to 4 MB.
const SEND_BUFFER_BYTES: usize = 131_072;
/// Maximum number of concurrent requests of an HTTP/2 connection.
const MAX_STREAMS: u32 = 100;
/// Maximum number of streams that an HTTP/2 client resets before they are accepted, and of resets
/// caused by its protocol errors. Beyond them the connection is closed (CVE-2023-44487).
const MAX_RESETS: usize = 20;
const MAX_ERROR_RESETS: usize = 100;
/// HTTP/2 flow control: unread bytes that a client may send on a stream and on a connection.
const STREAM_WINDOW_BYTES: u32 = 65_536;
const CONNECTION_WINDOW_BYTES: u32 = 262_144;
/// Buffered bytes of a response that wait for the window of an HTTP/2 client.
const MAX_STREAM_BUFFER_BYTES: usize = 65_536;
/// Interval of HTTP/2 pings, and the time that the client has to respond.
const PING_INTERVAL: Duration = Duration::from_secs(20);
const PING_TIMEOUT: Duration = Duration::from_secs(10);
/// Maximum interval of the sweep.
const SWEEP_INTERVAL: Duration = Duration::from_secs(1);
/// Pause after a failed accept, for example because no file descriptors are left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves until `shutdown`, then finishes the accepted requests.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    limits: ConnectionLimits,
    shutdown: CancellationToken,
) {
    let table = Arc::new(Mutex::new(ConnectionTable::new(limits)));
    let accepting = async {
        let finishing = GracefulShutdown::new();
        tokio::select! {
            () = run_accept_loop(&listener, &router, &table, &finishing) => {}
            () = shutdown.cancelled() => {}
        }
        drop(listener);
        finishing.shutdown().await;
    };
    tokio::select! {
        () = accepting => {}
        () = run_sweeps(&table, limits) => {}
    }
}

async fn run_accept_loop(
    listener: &TcpListener,
    router: &Router,
    table: &Arc<Mutex<ConnectionTable>>,
    finishing: &GracefulShutdown,
) {
    let builder = connection_builder();
    loop {
        match listener.accept().await {
            Ok((stream, address)) => {
                let place = lock(table).admit(table, address.ip(), Instant::now());
                if let Some(place) = place {
                    spawn_connection(stream, place, router, &builder, finishing);
                }
            }
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection; closing idle connections");
                // Closing idle connections frees file descriptors.
                lock(table).evict(None, Instant::now());
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

fn spawn_connection(
    stream: TcpStream,
    place: ConnectionSlot,
    router: &Router,
    builder: &Builder<TokioExecutor>,
    finishing: &GracefulShutdown,
) {
    // Responses are small; Nagle's algorithm would only delay them.
    let _ = stream.set_nodelay(true);
    let _ = socket2::SockRef::from(&stream).set_send_buffer_size(SEND_BUFFER_BYTES);
    let activity = place.activity.clone();
    let stream = TokioIo::new(CountedStream::new(stream, activity.clone()));
    let router = router.clone();
    let service = hyper::service::service_fn(move |request: Request<Incoming>| {
        let (guard, request) = RequestGuard::begin(&activity, request);
        let answer = router.clone().oneshot(request);
        async move { answer.await.map(|response| guard.wrap_response(response)) }
    });
    let connection = builder.serve_connection(stream, service).into_owned();
    let connection = finishing.watch(connection);
    tokio::spawn(async move {
        tokio::select! {
            // An error on the connection is caused by the client.
            _ = connection => {}
            () = place.wait_for_close() => {}
        }
    });
}

fn connection_builder() -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    // The sweep closes connections that send no complete head. Unlike the timer of hyper, it also
    // covers the time before the HTTP version is known.
    builder
        .http1()
        .header_read_timeout(None)
        .max_buf_size(MAX_BUFFER_BYTES);
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(PING_INTERVAL)
        .keep_alive_timeout(PING_TIMEOUT)
        .max_concurrent_streams(MAX_STREAMS)
        .max_header_list_size(MAX_HEADER_BYTES)
        .max_pending_accept_reset_streams(MAX_RESETS)
        .max_local_error_reset_streams(MAX_ERROR_RESETS)
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .max_send_buf_size(MAX_STREAM_BUFFER_BYTES);
    builder
}

/// Closes idle connections periodically. Logs their number, but no addresses.
async fn run_sweeps(table: &Mutex<ConnectionTable>, limits: ConnectionLimits) {
    let interval = SWEEP_INTERVAL.min(limits.idle_timeout / 4);
    loop {
        tokio::time::sleep(interval).await;
        let closed = lock(table).sweep(Instant::now());
        if closed.evicted + closed.refused + closed.unread > 0 {
            tracing::warn!(
                evicted = closed.evicted,
                refused = closed.refused,
                unread = closed.unread,
                "the connection limits were reached; closed or refused connections"
            );
        }
    }
}
