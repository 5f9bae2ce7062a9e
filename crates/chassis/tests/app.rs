//! Building, serving and stopping a service.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::future::ready;
use std::time::Duration;

use chassis::App;
use chassis::health::HealthChecks;
use common::clock::Clock;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use utoipa_axum::router::OpenApiRouter;

fn app() -> App {
    let api = OpenApiRouter::new();
    App::new(
        "test",
        "A test.",
        api,
        HealthChecks::default(),
        Clock::system(),
    )
}

async fn listener() -> (TcpListener, u16) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener, port)
}

#[tokio::test]
async fn a_worker_that_ends_or_panics_ends_the_service() {
    let ended = app().with_worker("short", |_| ready(()));
    let error = ended
        .serve(listener().await.0, CancellationToken::new())
        .await;
    let error = error.unwrap_err().to_string();
    assert_eq!(error, "a worker of test ended unexpectedly");
    let broken = app().with_worker("broken", |_| async { panic!("a mistake") });
    let error = broken
        .serve(listener().await.0, CancellationToken::new())
        .await;
    assert_eq!(error.unwrap_err().to_string(), "a worker of test panicked");
}

#[tokio::test]
async fn an_idle_connection_does_not_hold_up_the_end() {
    let (listener, port) = listener().await;
    let stop = CancellationToken::new();
    let worker = |stop: CancellationToken| async move { stop.cancelled().await };
    let served = tokio::spawn(
        app()
            .with_worker("patient", worker)
            .serve(listener, stop.clone()),
    );
    let mut kept = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    kept.write_all(b"GET /health/live HTTP/1.1\r\nHost: a\r\n\r\n")
        .await
        .unwrap();
    let mut answer = [0; 12];
    kept.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 200");
    stop.cancel();
    let served = tokio::time::timeout(Duration::from_mins(1), served).await;
    served.unwrap().unwrap().unwrap();
    assert!(TcpStream::connect(("127.0.0.1", port)).await.is_err());
}

#[tokio::test]
async fn a_bad_request_line_does_not_reach_the_log_or_the_next_request() {
    let (listener, port) = listener().await;
    let stop = CancellationToken::new();
    tokio::spawn(app().serve(listener, stop.clone()));
    let mut bad = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    bad.write_all(b"\x00\xff nonsense\r\n\r\n").await.unwrap();
    let mut answer = vec![];
    bad.read_to_end(&mut answer).await.unwrap();
    assert!(answer.starts_with(b"HTTP/1.1 400"));
    let http = chassis::http_client::build("test").unwrap();
    let url = format!("http://127.0.0.1:{port}/health");
    assert_eq!(http.get(url).send().await.unwrap().status(), 200);
    stop.cancel();
}
