//! Fakes of geo and notification.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::{MethodRouter, post};
use axum::{Json, Router};
use common::geo::Location;
use serde_json::{Value, json};
use std::sync::Mutex;

/// A fake service that can be switched off and stores the requests.
#[derive(Clone, Default)]
pub struct FakeService {
    pub url: String,
    away: Arc<AtomicBool>,
    asked: Arc<Mutex<Vec<(HeaderMap, Value)>>>,
    erasures: Arc<Mutex<Vec<Value>>>,
}

impl FakeService {
    /// The bodies of `POST /erasures`.
    pub fn erasures(&self) -> Vec<Value> {
        self.erasures.lock().unwrap().clone()
    }

    pub fn go_offline(&self) {
        self.away.store(true, Ordering::SeqCst);
    }

    pub fn go_online(&self) {
        self.away.store(false, Ordering::SeqCst);
    }

    /// Headers and body of every successful request.
    pub fn requests(&self) -> Vec<(HeaderMap, Value)> {
        self.asked.lock().unwrap().clone()
    }

    fn record_request(&self, headers: HeaderMap, body: Value) -> Result<(), StatusCode> {
        if self.away.load(Ordering::SeqCst) {
            return Err(StatusCode::SERVICE_UNAVAILABLE);
        }
        self.asked.lock().unwrap().push((headers, body));
        Ok(())
    }
}

async fn start(path: &'static str, route: MethodRouter<FakeService>) -> FakeService {
    start_with([(path, route)].into_iter()).await
}

async fn start_with(
    paths: impl Iterator<Item = (&'static str, MethodRouter<FakeService>)>,
) -> FakeService {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let neighbour = FakeService {
        url: format!("http://{}", listener.local_addr().unwrap()),
        ..FakeService::default()
    };
    let router = paths.fold(Router::new(), |router, (path, route)| {
        router.route(path, route)
    });
    let router = router.with_state(neighbour.clone());
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    neighbour
}

pub async fn geo() -> FakeService {
    start("/geolocate", post(geolocate)).await
}

pub async fn notification() -> FakeService {
    let routes = [("/notify", post(notify)), ("/erasures", post(erase))];
    start_with(routes.into_iter()).await
}

/// Locates every address in London, except addresses reserved for documentation.
async fn geolocate(
    State(geo): State<FakeService>,
    headers: HeaderMap,
    Json(body): Json<Value>,
) -> Result<Json<Value>, StatusCode> {
    geo.record_request(headers, body.clone())?;
    let result = |ip: &Value| {
        if ip.as_str().unwrap().starts_with("203.0.113.") {
            let error = json!({"code": "IP_ADDRESS_RESERVED", "detail": "for documentation"});
            return json!({"ip": ip, "location": null, "error": error});
        }
        json!({"ip": ip, "location": london(ip.as_str().unwrap()), "error": null})
    };
    let results: Vec<_> = body["ips"].as_array().unwrap().iter().map(result).collect();
    Ok(Json(json!({"results": results})))
}

pub fn london(ip: &str) -> Value {
    let london: Location = serde_json::from_value(json!({
        "ip": ip, "network": null, "continent_code": "EU", "country_code": "GB",
        "country": "United Kingdom", "is_in_european_union": false, "region_code": "ENG",
        "region": "England", "city": "London", "postal_code": null, "latitude": 51.5142,
        "longitude": -0.0931, "accuracy_radius_km": 10, "time_zone": "Europe/London",
        "asn": 20712, "as_organization": "Andrews & Arnold Ltd", "is_anonymous": null,
        "is_hosting_provider": null, "sources": []
    }))
    .unwrap();
    serde_json::to_value(london).unwrap()
}

async fn notify(
    State(notification): State<FakeService>,
    headers: HeaderMap,
    Json(body): Json<Value>,
) -> Result<Json<Value>, StatusCode> {
    let results: Vec<_> = as_list(&body).iter().map(|_| accepted()).collect();
    notification.record_request(headers, body)?;
    Ok(Json(json!({"results": results})))
}

async fn erase(
    State(notification): State<FakeService>,
    headers: HeaderMap,
    Json(body): Json<Value>,
) -> Result<Json<Value>, StatusCode> {
    if notification.away.load(Ordering::SeqCst) {
        return Err(StatusCode::SERVICE_UNAVAILABLE);
    }
    assert!(headers.contains_key("authorization"));
    notification.erasures.lock().unwrap().push(body);
    Ok(Json(
        json!({"notifications": 1, "deliveries": 1, "canceled": 0}),
    ))
}

fn accepted() -> Value {
    json!({"id": "019a0000-0000-7000-8000-00000000000a", "status": "queued", "reason": null,
        "deliveries": [], "error": null})
}

fn as_list(body: &Value) -> &Vec<Value> {
    body.as_array().unwrap()
}

impl FakeService {
    /// The notifications that were sent, single or in lists.
    pub fn sent_notifications(&self) -> Vec<Value> {
        let asked = self.requests();
        asked
            .iter()
            .flat_map(|(_, body)| as_list(body).clone())
            .collect()
    }
}

/// The number of requests per idempotency key.
pub fn requests_by_key(notification: &FakeService) -> HashMap<String, usize> {
    let mut heard = HashMap::new();
    for one in notification.sent_notifications() {
        let key = one["idempotency_key"].as_str().unwrap().to_owned();
        *heard.entry(key).or_default() += 1;
    }
    heard
}
