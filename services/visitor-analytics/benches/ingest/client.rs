//! A load that costs little itself: plain HTTP/1.1 over kept connections.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::process::Service;

/// What is sent where.
pub struct Load {
    port: u16,
    requests: Arc<Vec<Vec<u8>>>,
    visits_each: usize,
}

/// What came of it.
pub struct Outcome {
    /// Visits that were answered well.
    pub visits: usize,
    length: Duration,
    /// Sorted times of answers, in microseconds.
    times: Vec<u32>,
}

impl Load {
    pub fn new(service: &Service, token: &str, bodies: &[Vec<u8>], visits_each: usize) -> Self {
        let request = |body: &Vec<u8>| {
            let head = format!(
                "POST /visits HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n\
                 Content-Type: application/json\r\nContent-Length: {}\r\n\r\n",
                body.len()
            );
            [head.as_bytes(), body].concat()
        };
        Self {
            port: service.port,
            requests: Arc::new(bodies.iter().map(request).collect()),
            visits_each,
        }
    }

    /// Sends for a second that does not count.
    pub async fn warm_up(&self, connections: usize) {
        self.run(connections, Duration::from_secs(1)).await;
    }

    /// Sends over so many connections for `length`.
    pub async fn run(&self, connections: usize, length: Duration) -> Outcome {
        let next = Arc::new(AtomicUsize::new(0));
        let started = Instant::now();
        let clients: Vec<_> = (0..connections)
            .map(|_| {
                let (requests, next, port) = (self.requests.clone(), next.clone(), self.port);
                tokio::spawn(async move {
                    let mut connection = Connection::open(port).await;
                    let mut times = vec![];
                    while started.elapsed() < length {
                        let index = next.fetch_add(1, Ordering::Relaxed) % requests.len();
                        let sent = Instant::now();
                        connection.ask(&requests[index]).await;
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
        times.sort_unstable();
        Outcome {
            visits: times.len() * self.visits_each,
            length: started.elapsed(),
            times,
        }
    }
}

struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Connection {
    async fn open(port: u16) -> Self {
        let stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Self {
            stream,
            buffer: vec![],
        }
    }

    async fn ask(&mut self, request: &[u8]) {
        self.stream.write_all(request).await.unwrap();
        self.buffer.clear();
        let whole = loop {
            if let Some(whole) = answer_length(&self.buffer)
                && self.buffer.len() >= whole
            {
                break whole;
            }
            let read = self.stream.read_buf(&mut self.buffer).await.unwrap();
            assert!(read > 0, "the connection was closed");
        };
        let text = String::from_utf8_lossy(&self.buffer[..whole]);
        let well = ["HTTP/1.1 200", "HTTP/1.1 201", "HTTP/1.1 202"];
        assert!(well.iter().any(|line| text.starts_with(line)), "{text}");
        assert!(!text.contains(r#""status":"rejected""#), "{text}");
    }
}

/// Head and body together, once the head is there.
fn answer_length(buffer: &[u8]) -> Option<usize> {
    let head = buffer.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
    let text = String::from_utf8_lossy(&buffer[..head]).to_ascii_lowercase();
    let body = text.split("content-length:").nth(1)?;
    Some(head + body.split("\r\n").next()?.trim().parse::<usize>().ok()?)
}

impl Outcome {
    pub const HEADING: &str =
        "                                   visits/s   p50 ms   p99 ms   CPU µs a visit";

    pub fn new(visits: usize, length: Duration, mut times: Vec<u32>) -> Self {
        times.sort_unstable();
        Self {
            visits,
            length,
            times,
        }
    }

    pub fn rate(&self) -> f64 {
        self.visits as f64 / self.length.as_secs_f64()
    }

    fn percentile(&self, part: f64) -> f64 {
        let last = self.times.len().saturating_sub(1);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "an index"
        )]
        let index = (last as f64 * part) as usize;
        f64::from(self.times[index]) / 1e3
    }

    pub fn print(&self, name: &str, costs: &[(&str, f64)]) {
        let costs: Vec<_> = costs
            .iter()
            .map(|(who, micros)| format!("{who} {micros:.1}"))
            .collect();
        println!(
            "{name:<33} {:>10.0} {:>8.2} {:>8.2}   {}",
            self.rate(),
            self.percentile(0.5),
            self.percentile(0.99),
            costs.join(", ")
        );
    }
}
