//! A server of ntfy that takes everything at once, and remembers when what came.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use axum::extract::State;
use axum::routing::post;
use axum::{Json, Router};
use serde_json::{Value, json};

/// What came when, by its text.
pub type Arrivals = Arc<Mutex<HashMap<String, Instant>>>;

/// A sink on a port of its own.
pub struct Sink {
    pub port: u16,
    pub arrivals: Arrivals,
}

impl Sink {
    pub async fn start() -> Self {
        let arrivals = Arrivals::default();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let router = Router::new()
            .route("/", post(take))
            .with_state(arrivals.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { port, arrivals }
    }
}

async fn take(State(arrivals): State<Arrivals>, Json(message): Json<Value>) -> Json<Value> {
    let text = message["message"].as_str().unwrap_or_default().to_owned();
    // Those of the load all say the same, so this stays small.
    arrivals.lock().unwrap().insert(text, Instant::now());
    Json(json!({"id": "sink"}))
}
