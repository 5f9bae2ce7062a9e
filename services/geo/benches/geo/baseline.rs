//! The baseline: a bare axum handler with the same lookup and the same response body.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use axum::extract::{Query, State};
use axum::routing::get;
use axum::{Json, Router};
use common::clock::Clock;
use common::geo::Location;
use geo::app::Locator;
use geo::clients::LocalDatabases;
use geo::domain::Language;
use serde::Deserialize;

/// Makes the benchmark serve the baseline. The arguments after the flag are port and database.
pub const BASELINE_FLAG: &str = "--serve-bare-handler";

#[derive(Deserialize)]
struct GeolocateQuery {
    ip: String,
}

pub async fn serve() {
    let mut arguments = std::env::args()
        .skip_while(|argument| argument != BASELINE_FLAG)
        .skip(1);
    let address = format!("127.0.0.1:{}", arguments.next().unwrap());
    let database = PathBuf::from(arguments.next().unwrap());
    let (databases, _) = LocalDatabases::open(&[database], Path::new("/nonexistent")).unwrap();
    let locator = Locator::new(databases, None, None, Clock::system());
    let router = Router::new()
        .route("/geolocate", get(geolocate))
        .with_state(Arc::new(locator));
    let listener = tokio::net::TcpListener::bind(address).await.unwrap();
    axum::serve(listener, router).await.unwrap();
}

async fn geolocate(
    State(locator): State<Arc<Locator>>,
    Query(asked): Query<GeolocateQuery>,
) -> Json<Location> {
    Json(
        locator
            .locate(&asked.ip, Language::default())
            .await
            .unwrap(),
    )
}
