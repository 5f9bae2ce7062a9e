//! Accepting connections: a bounded number, each with limits, and finishing them at shutdown.
//!
//! No connection has a timer of its own. Each counts what happens on it ([`activity`]), and once a
//! second all of them are looked over ([`table`]): those on which nothing happens are closed.
//! When every place is taken, the connection that has been idle longest gives way to a new one, so
//! that accepting never waits for a client.

mod activity;
mod stream;
mod table;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
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
use stream::CountedStream;
use table::{ConnectionSlot, ConnectionTable};

/// The buffers of an HTTP/1 connection, in bytes; a request's head has to fit. Without it hyper
/// takes up to 400 kB.
const MAX_BUFFER_BYTES: usize = 65_536;
/// The longest head of an HTTP/2 request, in bytes.
const MAX_HEADER_BYTES: u32 = 32_768;
/// What the kernel holds of answers that are not read yet; without it up to 4 MB a connection.
const SEND_BUFFER_BYTES: usize = 131_072;
/// Requests of an HTTP/2 connection at a time.
const MAX_STREAMS: u32 = 100;
/// Streams that a client resets before they were looked at, or by its own mistakes; beyond them the
/// connection is closed (CVE-2023-44487).
const MAX_RESETS: usize = 20;
const MAX_ERROR_RESETS: usize = 100;
/// What HTTP/2 clients may send of a body, and of all bodies, before it is read.
const STREAM_WINDOW_BYTES: u32 = 65_536;
const CONNECTION_WINDOW_BYTES: u32 = 262_144;
/// An answer's bytes that wait for an HTTP/2 client's window.
const MAX_STREAM_BUFFER_BYTES: usize = 65_536;
/// An HTTP/2 client is asked whether it is there so often, and has that long to answer.
const PING_INTERVAL: Duration = Duration::from_secs(20);
const PING_TIMEOUT: Duration = Duration::from_secs(10);
/// Connections are looked over so often, at least.
const SWEEP_INTERVAL: Duration = Duration::from_secs(1);
/// A pause after an accept that failed, such as for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What connections may take.
#[derive(Clone, Copy, Debug)]
pub struct ConnectionLimits {
    /// Connections that are open at a time.
    pub max_connections: usize,
    /// Those of one peer, which is an IPv4 address or an IPv6 /64. A share of all: behind a proxy
    /// every connection comes from a few addresses.
    pub max_per_peer: usize,
    /// A connection without a request, or whose client takes nothing of its answer, is closed
    /// after this time.
    pub idle_timeout: Duration,
    /// Answers that clients have not read, of all connections together.
    pub max_unread_bytes: u64,
}

impl Default for ConnectionLimits {
    fn default() -> Self {
        Self {
            max_connections: 4_096,
            max_per_peer: 3_072,
            // Our own clients let go of theirs earlier.
            idle_timeout: Duration::from_secs(30),
            max_unread_bytes: 67_108_864,
        }
    }
}

/// Serves until `shutdown`, then finishes the requests that were accepted.
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
            () = accept(&listener, &router, &table, &finishing) => {}
            () = shutdown.cancelled() => {}
        }
        drop(listener);
        finishing.shutdown().await;
    };
    tokio::select! {
        () = accepting => {}
        () = sweep(&table, limits) => {}
    }
}

async fn accept(
    listener: &TcpListener,
    router: &Router,
    table: &Arc<Mutex<ConnectionTable>>,
    finishing: &GracefulShutdown,
) {
    let builder = builder();
    loop {
        match listener.accept().await {
            Ok((stream, address)) => {
                let place = lock(table).admit(table, address.ip(), Instant::now());
                if let Some(place) = place {
                    start(stream, place, router, &builder, finishing);
                }
            }
            Err(error) => {
                tracing::warn!(%error, "a connection was not accepted");
                // Idle connections hold the descriptors that are wanted.
                lock(table).evict(None, Instant::now());
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

fn start(
    stream: TcpStream,
    place: ConnectionSlot,
    router: &Router,
    builder: &Builder<TokioExecutor>,
    finishing: &GracefulShutdown,
) {
    // Answers are small; waiting to fill a packet would only delay them.
    let _ = stream.set_nodelay(true);
    let _ = socket2::SockRef::from(&stream).set_send_buffer_size(SEND_BUFFER_BYTES);
    let activity = place.activity.clone();
    let stream = TokioIo::new(CountedStream::new(stream, activity.clone()));
    let router = router.clone();
    let service = hyper::service::service_fn(move |request: Request<Incoming>| {
        let (guard, request) = RequestGuard::begin(&activity, request);
        let answer = router.clone().oneshot(request);
        async move { answer.await.map(|response| guard.answer(response)) }
    });
    let connection = builder.serve_connection(stream, service).into_owned();
    let connection = finishing.watch(connection);
    tokio::spawn(async move {
        tokio::select! {
            // Whatever ends a connection early is the client's affair.
            _ = connection => {}
            () = place.closed() => {}
        }
    });
}

fn builder() -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    // The sweep closes connections whose head does not come: before the version is known, too.
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

/// Closes connections on which nothing happens; says how many, never whose.
async fn sweep(table: &Mutex<ConnectionTable>, limits: ConnectionLimits) {
    let interval = SWEEP_INTERVAL.min(limits.idle_timeout / 4);
    loop {
        tokio::time::sleep(interval).await;
        let closed = lock(table).sweep(Instant::now());
        if closed.evicted + closed.refused + closed.unread > 0 {
            tracing::warn!(
                evicted = closed.evicted,
                refused = closed.refused,
                unread = closed.unread,
                "connections were closed to make room for others"
            );
        }
    }
}

fn lock(table: &Mutex<ConnectionTable>) -> MutexGuard<'_, ConnectionTable> {
    table.lock().unwrap_or_else(PoisonError::into_inner)
}
