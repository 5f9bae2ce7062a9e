//! A load generator with low overhead: plain HTTP/1.1 over persistent connections.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// Sends the same requests repeatedly to a local port.
pub struct LoadGenerator {
    port: u16,
    requests: Arc<Vec<Vec<u8>>>,
    items_per_request: usize,
    failure_text: Option<&'static str>,
    /// Index of the next request, across runs.
    next_index: Arc<AtomicUsize>,
}

pub struct LoadResult {
    /// Number of items in successful requests.
    pub items: usize,
    duration: Duration,
    /// Sorted response times in microseconds.
    latencies: Vec<u32>,
}

/// Builds a `GET` request with a token.
#[must_use]
pub fn get_request(path: &str, token: &str) -> Vec<u8> {
    let head =
        format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n\r\n");
    head.into_bytes()
}

/// Builds a `POST` request with a JSON body and a token.
#[must_use]
pub fn post_request(path: &str, token: &str, body: &[u8]) -> Vec<u8> {
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

impl LoadGenerator {
    #[must_use]
    pub fn new(port: u16, requests: Vec<Vec<u8>>, items_per_request: usize) -> Self {
        Self {
            port,
            requests: Arc::new(requests),
            items_per_request,
            failure_text: None,
            next_index: Arc::default(),
        }
    }

    /// Sets a text that marks a response as failed, whatever its status.
    #[must_use]
    pub fn fail_on(mut self, failure: &'static str) -> Self {
        self.failure_text = Some(failure);
        self
    }

    /// Sends requests for one second without measuring.
    pub async fn warm_up(&self, connections: usize) {
        self.run(connections, Duration::from_secs(1)).await;
    }

    /// Sends each request once.
    pub async fn send_each_once(&self) {
        let mut connection = HttpConnection::open(self.port).await;
        for request in self.requests.iter() {
            connection.send(request, self.failure_text).await;
        }
    }

    /// Sends requests over `connections` connections for `length`.
    pub async fn run(&self, connections: usize, length: Duration) -> LoadResult {
        let started = Instant::now();
        let clients: Vec<_> = (0..connections)
            .map(|_| {
                let (requests, next, port) =
                    (self.requests.clone(), self.next_index.clone(), self.port);
                let failure = self.failure_text;
                tokio::spawn(async move {
                    let mut connection = HttpConnection::open(port).await;
                    let mut times = vec![];
                    while started.elapsed() < length {
                        let index = next.fetch_add(1, Ordering::Relaxed) % requests.len();
                        let sent = Instant::now();
                        connection.send(&requests[index], failure).await;
                        times.push(u32::try_from(sent.elapsed().as_micros()).unwrap());
                    }
                    times
                })
            })
            .collect();
        let mut times = vec![];
        for client in clients {
            times.extend(client.await.unwrap());
        }
        LoadResult::new(
            times.len() * self.items_per_request,
            started.elapsed(),
            times,
        )
    }
}

impl LoadResult {
    /// `times` are the response times in microseconds.
    #[must_use]
    pub fn new(items: usize, duration: Duration, mut latencies: Vec<u32>) -> Self {
        latencies.sort_unstable();
        Self {
            items,
            duration,
            latencies,
        }
    }

    /// Items per second.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "only a few digits are shown")]
    pub fn items_per_second(&self) -> f64 {
        self.items as f64 / self.duration.as_secs_f64()
    }

    /// The response time in milliseconds within which `part` of 1,000 requests were answered.
    #[must_use]
    pub fn latency_ms(&self, part: usize) -> f64 {
        let last = self.latencies.len().saturating_sub(1);
        f64::from(self.latencies[last * part / 1_000]) / 1e3
    }
}

struct HttpConnection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl HttpConnection {
    async fn open(port: u16) -> Self {
        let stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let buffer = Vec::with_capacity(1 << 16);
        Self { stream, buffer }
    }

    async fn send(&mut self, request: &[u8], failure: Option<&str>) {
        self.stream.write_all(request).await.unwrap();
        self.buffer.clear();
        let mut whole = None;
        while whole.is_none_or(|whole| self.buffer.len() < whole) {
            let read = self.stream.read_buf(&mut self.buffer).await.unwrap();
            assert!(read > 0, "the server closed the connection");
            whole = whole.or_else(|| response_length(&self.buffer));
        }
        let failed = failure.is_some_and(|text| {
            let mut parts = self.buffer.windows(text.len());
            parts.any(|part| part == text.as_bytes())
        });
        let well = self.buffer.starts_with(b"HTTP/1.1 2") && !failed;
        assert!(well, "{}", String::from_utf8_lossy(&self.buffer));
    }
}

/// The length of a response, head and body. `None` until the head is complete.
fn response_length(buffer: &[u8]) -> Option<usize> {
    let mut from = 0;
    let mut body = 0;
    loop {
        let length = buffer[from..].iter().position(|byte| *byte == b'\n')?;
        let line = buffer[from..from + length].trim_ascii_end();
        from += length + 1;
        if line.is_empty() {
            return Some(from + body);
        }
        let name = b"content-length:";
        if line.len() > name.len() && line[..name.len()].eq_ignore_ascii_case(name) {
            let value = std::str::from_utf8(&line[name.len()..]).unwrap();
            body = value.trim().parse().unwrap();
        }
    }
}
