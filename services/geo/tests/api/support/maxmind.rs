//! Plays MaxMind's web service: its paths, its Basic auth, its content types.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tokio::sync::Semaphore;

pub const ACCOUNT: &str = "42";
pub const KEY: &str = "a-licence-key-of-the-tests";

/// What the service does with a question that carries the right key.
#[derive(Clone, Copy, Debug)]
pub enum Reply {
    /// Answers like the service.
    Place,
    /// MaxMind's error body.
    Error(u16, &'static str),
    /// A status without a body.
    Bare(u16),
    /// A page for people.
    Html(u16),
    /// The right kind of content with the wrong content.
    Garbled,
    /// Answers like the service, but not before [`MaxMind::release`].
    Held,
    /// Breaks the connection in the middle of the answer.
    Cut,
}

pub struct MaxMind {
    pub base: String,
    shared: Arc<Shared>,
}

struct Shared {
    reply: Mutex<Reply>,
    asked: Mutex<Vec<String>>,
    gate: Semaphore,
    at_once: AtomicUsize,
    most_at_once: AtomicUsize,
}

impl MaxMind {
    pub async fn start(reply: Reply) -> Self {
        let shared = Arc::new(Shared {
            reply: Mutex::new(reply),
            asked: Mutex::default(),
            gate: Semaphore::new(0),
            at_once: AtomicUsize::new(0),
            most_at_once: AtomicUsize::new(0),
        });
        let router = Router::new()
            .route("/geoip/v2.1/city/{ip}", get(city))
            .fallback(async || html(404))
            .with_state(shared.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(axum::serve(listener, router).into_future());
        Self { base, shared }
    }

    /// The settings of a service that asks here.
    pub fn arguments(&self) -> Vec<String> {
        vec![
            format!("--maxmind-account-id={ACCOUNT}"),
            format!("--maxmind-api-key={KEY}"),
            format!("--maxmind-host={}", self.base),
        ]
    }

    pub fn reply(&self, reply: Reply) {
        *self.shared.reply.lock().unwrap() = reply;
    }

    /// Answers everything that is held, and holds nothing any more.
    pub fn release(&self) {
        self.shared.gate.close();
    }

    /// The addresses that were asked for.
    pub fn asked(&self) -> Vec<String> {
        self.shared.asked.lock().unwrap().clone()
    }

    /// Questions that were neither answered nor given up.
    pub fn under_way(&self) -> usize {
        self.shared.at_once.load(Ordering::SeqCst)
    }

    pub fn most_at_once(&self) -> usize {
        self.shared.most_at_once.load(Ordering::SeqCst)
    }
}

/// Counts a question as under way until it is answered or given up.
struct UnderWay(Arc<Shared>);

impl UnderWay {
    fn new(shared: Arc<Shared>) -> Self {
        let now = shared.at_once.fetch_add(1, Ordering::SeqCst) + 1;
        shared.most_at_once.fetch_max(now, Ordering::SeqCst);
        Self(shared)
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.at_once.fetch_sub(1, Ordering::SeqCst);
    }
}

async fn city(
    State(shared): State<Arc<Shared>>,
    Path(ip): Path<String>,
    headers: HeaderMap,
) -> Response {
    let _under_way = UnderWay::new(shared.clone());
    shared.asked.lock().unwrap().push(ip.clone());
    let expected = format!("Basic {}", STANDARD.encode(format!("{ACCOUNT}:{KEY}")));
    if headers
        .get(header::AUTHORIZATION)
        .map(HeaderValue::as_bytes)
        != Some(expected.as_bytes())
    {
        return error(401, "AUTHORIZATION_INVALID");
    }
    let reply = *shared.reply.lock().unwrap();
    match reply {
        Reply::Place => place(&ip),
        Reply::Error(status, code) => error(status, code),
        Reply::Bare(status) => self::status(status).into_response(),
        Reply::Html(status) => html(status),
        Reply::Garbled => vendor(200, "city", "{\"city\": [".into()),
        Reply::Held => {
            let _ = shared.gate.acquire().await;
            place(&ip)
        }
        Reply::Cut => {
            let cut = Err(std::io::Error::other("cut"));
            let parts = futures::stream::iter([Ok("{\"city\""), cut]);
            vendor(200, "city", Body::from_stream(parts))
        }
    }
}

/// What the service says about an address; every one of them lies in Utrecht.
pub fn body(ip: &str) -> Value {
    json!({
        "continent": {"code": "EU", "geoname_id": 6_255_148, "names": {"en": "Europe"}},
        "country": {"iso_code": "NL", "is_in_european_union": true, "geoname_id": 2_750_405,
            "names": {"de": "Niederlande", "en": "The Netherlands", "ru": "Нидерланды"}},
        "registered_country": {"iso_code": "NL", "names": {"en": "The Netherlands"}},
        "subdivisions": [{"iso_code": "UT", "names": {"en": "Utrecht"}}],
        "city": {"geoname_id": 2_745_912, "names": {"en": "Utrecht \"city\""}},
        "postal": {"code": "3511"},
        "location": {"latitude": 52.09, "longitude": 5.1083, "accuracy_radius": 20,
            "time_zone": "Europe/Amsterdam"},
        "traits": {"ip_address": ip, "network": "193.0.6.0/25", "is_anycast": true,
            "autonomous_system_number": 3333, "isp": "An ISP",
            "autonomous_system_organization": "An organization"},
        "anonymizer": {"is_hosting_provider": true},
        "maxmind": {"queries_remaining": 999}
    })
}

fn place(ip: &str) -> Response {
    vendor(200, "city", body(ip).to_string().into())
}

fn error(status: u16, code: &str) -> Response {
    let body = json!({"code": code, "error": "A sentence about it."});
    vendor(status, "error", body.to_string().into())
}

fn vendor(status: u16, kind: &str, body: Body) -> Response {
    let kind = format!("application/vnd.maxmind.com-{kind}+json; charset=UTF-8; version=2.1");
    (self::status(status), [(header::CONTENT_TYPE, kind)], body).into_response()
}

fn html(status: u16) -> Response {
    let page = axum::response::Html("<html><h1>Sorry</h1></html>");
    (self::status(status), page).into_response()
}

fn status(status: u16) -> StatusCode {
    StatusCode::from_u16(status).unwrap()
}
