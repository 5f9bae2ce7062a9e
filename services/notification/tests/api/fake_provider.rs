//! A fake HTTP server with scripted replies, for providers with JSON APIs.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse as _, Response};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio_util::task::AbortOnDropHandle;

/// A scripted reply.
#[derive(Clone, Debug)]
pub struct Reply {
    pub status: u16,
    pub headers: Vec<(&'static str, String)>,
    pub body: String,
}

impl Reply {
    pub fn json(status: u16, body: &Value) -> Self {
        Self::text(status, &body.to_string())
    }

    pub fn text(status: u16, body: &str) -> Self {
        Self {
            status,
            headers: vec![],
            body: body.into(),
        }
    }

    pub fn header(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.into()));
        self
    }
}

/// A received request.
#[derive(Clone, Debug)]
pub struct Call {
    pub method: Method,
    pub path: String,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Call {
    pub fn header(&self, name: &str) -> &str {
        self.headers[name].to_str().unwrap()
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

#[derive(Debug)]
struct ServerState {
    script: VecDeque<Reply>,
    otherwise: Reply,
    calls: Vec<Call>,
}

/// A fake server that sends the scripted replies, and then always the same one.
pub struct FakeProvider {
    pub base: String,
    world: Arc<Mutex<ServerState>>,
    _server: AbortOnDropHandle<()>,
}

impl FakeProvider {
    pub async fn start(otherwise: Reply) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let world = Arc::new(Mutex::new(ServerState {
            script: VecDeque::new(),
            otherwise,
            calls: vec![],
        }));
        let router = Router::new().fallback(answer).with_state(world.clone());
        let server = tokio::spawn(async { axum::serve(listener, router).await.unwrap() });
        Self {
            base,
            world,
            _server: AbortOnDropHandle::new(server),
        }
    }

    pub fn push_reply(&self, reply: Reply) {
        self.world.lock().unwrap().script.push_back(reply);
    }

    pub fn calls(&self) -> Vec<Call> {
        self.world.lock().unwrap().calls.clone()
    }

    pub fn last_call(&self) -> Call {
        self.calls().pop().expect("the server received a request")
    }
}

async fn answer(
    State(world): State<Arc<Mutex<ServerState>>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let reply = {
        let mut world = world.lock().unwrap();
        let path = uri.to_string();
        world.calls.push(Call {
            method,
            path,
            headers,
            body,
        });
        let next = world.script.pop_front();
        next.unwrap_or_else(|| world.otherwise.clone())
    };
    let mut response = (StatusCode::from_u16(reply.status).unwrap(), reply.body).into_response();
    for (name, value) in reply.headers {
        response.headers_mut().insert(name, value.parse().unwrap());
    }
    response
}
