//! The first probe: a bare axum handler that parses the same JSON and answers 202.

use axum::http::StatusCode;
use axum::routing::post;
use axum::{Json, Router};
use visitor_analytics::domain::visit::Submitted;

/// Makes this program serve the probe, on the port that follows.
pub const FLAG: &str = "--serve-bare-handler";

pub async fn serve() {
    let port = std::env::args()
        .skip_while(|argument| argument != FLAG)
        .nth(1);
    let address = format!("127.0.0.1:{}", port.unwrap());
    let listener = tokio::net::TcpListener::bind(address).await.unwrap();
    let router = Router::new().route("/visits", post(take));
    axum::serve(listener, router).await.unwrap();
}

async fn take(Json(visit): Json<Submitted>) -> (StatusCode, Json<usize>) {
    (StatusCode::ACCEPTED, Json(visit.url.len()))
}
