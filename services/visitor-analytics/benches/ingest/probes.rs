//! Probes that measure the limits of the machine: servers that do less. They run in processes of
//! this program.

use std::process::Command;

use axum::http::StatusCode;
use axum::routing::post;
use axum::{Json, Router};
use bench::{MeasuredProcess, free_port};
use visitor_analytics::domain::visit::SubmittedVisit;

use crate::commit;

/// An axum handler that parses the same JSON and answers 202.
pub const HANDLER: &str = "--serve-bare-handler";
/// An axum handler that answers after the visit is committed.
pub const COMMIT: &str = "--serve-bare-commit";

/// Starts a probe in a process of its own.
pub async fn start(probe: &str) -> MeasuredProcess {
    let port = free_port();
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args([probe, &port.to_string()]);
    MeasuredProcess::start(command, port).await
}

/// Serves a probe if the arguments name one; returns whether they do.
pub async fn serve(arguments: &[String]) -> bool {
    let [_, probe, port, ..] = arguments else {
        return false;
    };
    let router = match probe.as_str() {
        HANDLER => Router::new().route("/visits", post(handle_visit)),
        COMMIT => commit::router().await,
        _ => return false,
    };
    let address = format!("127.0.0.1:{port}");
    let listener = tokio::net::TcpListener::bind(address).await.unwrap();
    axum::serve(listener, router).await.unwrap();
    true
}

async fn handle_visit(Json(visit): Json<SubmittedVisit>) -> (StatusCode, Json<usize>) {
    (StatusCode::ACCEPTED, Json(visit.url.len()))
}
