//! Clients that hold connections without using them, on real sockets.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::future::pending;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Weak};
use std::time::Duration;

use axum::body::Body;
use axum::routing::{get, post};
use bytes::Bytes;
use chassis::health::HealthChecks;
use chassis::{App, ConnectionLimits};
use common::clock::Clock;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio_util::sync::{CancellationToken, DropGuard};
use utoipa_axum::router::OpenApiRouter;

/// The HTTP/2 connection preface and an empty SETTINGS frame.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00";
const PING: &[u8] = b"\x00\x00\x08\x06\x00\x00\x00\x00\x0012345678";
const REQUEST: &[u8] = b"GET /health/live HTTP/1.1\r\nHost: a\r\n\r\n";

/// More than all socket buffers together.
const LARGE_BODY_BYTES: usize = 33_554_432;

/// The idle timeout is too long to close connections; only the number of slots does.
fn limits() -> ConnectionLimits {
    ConnectionLimits {
        max_connections: 64,
        max_per_peer: 48,
        idle_timeout: Duration::from_mins(10),
        ..ConnectionLimits::default()
    }
}

/// With a short idle timeout.
fn short_idle_timeout() -> ConnectionLimits {
    let idle_timeout = Duration::from_millis(400);
    ConnectionLimits {
        idle_timeout,
        ..limits()
    }
}

struct Server {
    address: SocketAddr,
    /// Alive as long as a response of `/large`.
    large_body: Weak<()>,
    /// Cancelled when a request to `/wait` arrives.
    wait_requested: CancellationToken,
    _stop: DropGuard,
}

/// The bytes of a body, with a reference that is dropped together with them.
struct HeldBody(
    Vec<u8>,
    #[expect(dead_code, reason = "only its drop matters")] Arc<()>,
);

impl AsRef<[u8]> for HeldBody {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Server {
    async fn start(limits: ConnectionLimits) -> Self {
        let held = Arc::new(());
        let large = Arc::downgrade(&held);
        let answered = Arc::new(std::sync::Mutex::new(Some(held)));
        let waits = CancellationToken::new();
        let waiting = waits.clone();
        let api = OpenApiRouter::new()
            .route(
                "/large",
                get(async move || {
                    // Only the first response is observed.
                    let held = answered.lock().unwrap().take().unwrap_or_default();
                    Body::from(Bytes::from_owner(HeldBody(
                        vec![b'a'; LARGE_BODY_BYTES],
                        held,
                    )))
                }),
            )
            .route(
                "/wait",
                get(async move || {
                    waiting.cancel();
                    pending::<()>().await;
                }),
            )
            .route(
                "/read",
                post(async |body: Body| drop(axum::body::to_bytes(body, 1_000).await)),
            );
        let app = App::new(
            "test",
            "A test.",
            api,
            HealthChecks::default(),
            Clock::system(),
        );
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let stop = CancellationToken::new();
        tokio::spawn(app.with_limits(limits).serve(listener, stop.clone()));
        Self {
            address,
            large_body: large,
            wait_requested: waits,
            _stop: stop.drop_guard(),
        }
    }

    /// Connects from the loopback address `127.0.0.{last}` and sends `bytes`.
    async fn connect(&self, last: u8, bytes: &[u8]) -> TcpStream {
        let socket = TcpSocket::new_v4().unwrap();
        let from = Ipv4Addr::new(127, 0, 0, last);
        socket.bind((from, 0).into()).unwrap();
        let mut stream = socket.connect(self.address).await.unwrap();
        // The server may have closed the connection already.
        let _ = stream.write_all(bytes).await;
        stream
    }

    /// Opens `count` connections from `peers` addresses.
    async fn connect_many(&self, count: usize, peers: u8, bytes: &[u8]) -> Vec<TcpStream> {
        let mut crowd = vec![];
        for number in 0..count {
            let last = 2 + u8::try_from(number % usize::from(peers)).unwrap();
            crowd.push(self.connect(last, bytes).await);
        }
        crowd
    }

    /// Whether the server responds to a new client.
    async fn responds(&self) -> bool {
        let mut stream = self.connect(1, REQUEST).await;
        let mut answer = [0; 12];
        let read = stream.read_exact(&mut answer).await;
        read.is_ok() && &answer == b"HTTP/1.1 200"
    }

    async fn wait_for_release(&self) {
        wait_until(async || self.large_body.upgrade().is_none()).await;
    }
}

async fn wait_until(mut holds: impl AsyncFnMut() -> bool) {
    for _ in 0..1_200 {
        if holds().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("the condition did not become true within a minute");
}

/// Waits until the server has closed a connection on which `keep` is sent repeatedly.
async fn wait_until_closed(mut stream: TcpStream, keep: &[u8]) {
    let mut bytes = [0; 1_024];
    let mut again = tokio::time::interval(Duration::from_millis(20));
    let closed = async {
        loop {
            tokio::select! {
                read = stream.read(&mut bytes) => {
                    if matches!(read, Ok(0) | Err(_)) {
                        return;
                    }
                }
                _ = again.tick() => {
                    let _ = stream.write_all(keep).await;
                }
            }
        }
    };
    let in_time = tokio::time::timeout(Duration::from_mins(1), closed);
    in_time
        .await
        .expect("the server closes the connection within a minute");
}

#[tokio::test]
async fn silent_connections_give_way_to_new_ones() {
    let server = Server::start(limits()).await;
    let kinds: [&[u8]; 5] = [
        b"",
        b"G",
        b"GET / HTTP/1.1\r\nHost: a\r\n",
        &PREFACE[..24],
        PREFACE,
    ];
    for bytes in kinds {
        let _from_one = server.connect_many(80, 1, bytes).await;
        assert!(server.responds().await);
        let _from_many = server.connect_many(80, 8, bytes).await;
        assert!(server.responds().await);
    }
    // Also connections that are kept alive after one request.
    let _used = server.connect_many(100, 4, REQUEST).await;
    assert!(server.responds().await);
}

#[tokio::test]
async fn connections_without_requests_are_closed() {
    let server = Server::start(short_idle_timeout()).await;
    let pings = [PREFACE, PING].concat();
    let cases: [(&[u8], &[u8]); 7] = [
        (b"", b""),
        (b"PRI", b""),
        (b"GET / HTTP/1.1\r\n", b""),
        // A head that is sent byte by byte.
        (b"GET / HTTP/1.1\r\nX: ", b"a"),
        (PREFACE, b""),
        (&pings, PING),
        (REQUEST, b""),
    ];
    for (first, keep) in cases {
        let stream = server.connect(2, first).await;
        wait_until_closed(stream, keep).await;
    }
}

#[tokio::test]
async fn a_connection_that_is_used_stays() {
    // Long beside the pauses, so that a machine that stalls for a second does not matter.
    let idle_timeout = Duration::from_secs(2);
    let server = Server::start(ConnectionLimits {
        idle_timeout,
        ..limits()
    })
    .await;
    let mut stream = server.connect(2, b"").await;
    let mut answer = vec![];
    // Three times the idle timeout.
    for _ in 0..20 {
        stream.write_all(REQUEST).await.unwrap();
        while !answer.ends_with(b"{\"status\":\"ok\"}") {
            assert!(stream.read_buf(&mut answer).await.unwrap() > 0);
        }
        answer.clear();
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    // A connection with a running handler stays, too.
    let mut waiting = server
        .connect(2, b"GET /wait HTTP/1.1\r\nHost: a\r\n\r\n")
        .await;
    server.wait_requested.cancelled().await;
    let ended = tokio::time::timeout(idle_timeout * 2, waiting.read_u8());
    assert!(ended.await.is_err());
}

#[tokio::test]
async fn an_answer_that_nobody_reads_is_let_go() {
    let request = b"GET /large HTTP/1.1\r\nHost: a\r\n\r\n";
    let server = Server::start(short_idle_timeout()).await;
    let _unread = server.connect(2, request).await;
    server.wait_for_release().await;
    assert!(server.responds().await);

    // HTTP/2 with a client that never opens its window.
    let server = Server::start(short_idle_timeout()).await;
    #[expect(
        clippy::disallowed_methods,
        reason = "chassis::http_client builds HTTP/1 clients"
    )]
    let http = reqwest::Client::builder().http2_prior_knowledge().build();
    let url = format!("http://{}/large", server.address);
    let unread = http.unwrap().get(url).send().await.unwrap();
    assert_eq!(unread.status(), 200);
    server.wait_for_release().await;
    assert!(unread.bytes().await.is_err());
}

#[tokio::test]
async fn a_slow_reader_gets_all_of_its_answer() {
    let server = Server::start(short_idle_timeout()).await;
    let request = b"GET /large HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    let mut slow = server.connect(2, request).await;
    let (mut total, mut piece) = (0, vec![0; 1_048_576]);
    loop {
        match slow.read(&mut piece).await.unwrap() {
            0 => break,
            length => total += length,
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(total > LARGE_BODY_BYTES, "{total}");
}

#[tokio::test]
async fn answers_that_are_not_read_give_way_to_new_connections() {
    let server = Server::start(limits()).await;
    let request = b"GET /large HTTP/1.1\r\nHost: a\r\n\r\n";
    let _unread = server.connect_many(12, 4, request).await;
    let body = b"POST /read HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nhalf";
    let _unfinished = server.connect_many(100, 4, body).await;
    wait_until(async || server.responds().await).await;
}

#[tokio::test]
async fn unread_answers_are_bounded_together() {
    let max_unread_bytes = LARGE_BODY_BYTES as u64 / 2;
    let server = Server::start(ConnectionLimits {
        max_unread_bytes,
        ..limits()
    })
    .await;
    let request = b"GET /large HTTP/1.1\r\nHost: a\r\n\r\n";
    let _unread = server.connect_many(8, 1, request).await;
    server.wait_for_release().await;
    assert!(server.responds().await);
}

#[tokio::test]
async fn one_peer_cannot_take_every_place() {
    let server = Server::start(limits()).await;
    let request = b"GET /wait HTTP/1.1\r\nHost: a\r\n\r\n";
    let _working = server.connect_many(100, 1, request).await;
    server.wait_requested.cancelled().await;
    assert!(server.responds().await);
}

#[tokio::test]
async fn resets_in_quick_succession_end_the_connection() {
    let server = Server::start(limits()).await;
    let mut bytes = PREFACE.to_vec();
    for stream in (1..20_000_u32).step_by(2) {
        let stream = stream.to_be_bytes();
        // HEADERS that end the stream, of GET http://a/; then RST_STREAM with CANCEL.
        bytes.extend(b"\x00\x00\x06\x01\x05");
        bytes.extend(stream);
        bytes.extend(b"\x82\x84\x86\x41\x01a");
        bytes.extend(b"\x00\x00\x04\x03\x00");
        bytes.extend(stream);
        bytes.extend(b"\x00\x00\x00\x08");
    }
    let stream = server.connect(2, &bytes).await;
    wait_until_closed(stream, PING).await;
    assert!(server.responds().await);
}

#[tokio::test]
async fn heads_are_bounded() {
    let server = Server::start(limits()).await;
    let long = format!("GET / HTTP/1.1\r\nX: {}\r\n\r\n", "a".repeat(100_000));
    let many = format!("GET / HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(200));
    for head in [long, many] {
        let mut stream = server.connect(2, head.as_bytes()).await;
        let mut answer = [0; 12];
        stream.read_exact(&mut answer).await.unwrap();
        assert_eq!(&answer, b"HTTP/1.1 431");
    }
}
