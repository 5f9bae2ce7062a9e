//! An ntfy server that accepts every message and records the time of its arrival.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use axum::extract::State;
use axum::routing::post;
use axum::{Json, Router};
use serde_json::{Value, json};

/// Times of arrival by text.
pub type Arrivals = Arc<Mutex<HashMap<String, Instant>>>;

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
            .route("/", post(receive))
            .with_state(arrivals.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { port, arrivals }
    }
}

async fn receive(State(arrivals): State<Arrivals>, Json(message): Json<Value>) -> Json<Value> {
    let text = message["message"].as_str().unwrap_or_default().to_owned();
    // The messages of the load have the same text, so the map stays small.
    arrivals.lock().unwrap().insert(text, Instant::now());
    Json(json!({"id": "sink"}))
}
