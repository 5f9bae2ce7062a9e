//! Middleware for every request: request id, log line, metrics, timeout, and a separate task.

use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use axum::extract::{MatchedPath, Request, State};
use axum::http::{Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use common::clock::Clock;
use futures::FutureExt as _;
use metrics::Histogram;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinHandle;
use tracing::{Instrument as _, Span};

use crate::problem::{INTERNAL_DETAIL, Problem};
use crate::request::{CURRENT, REQUEST_ID, REQUEST_TIMEOUT, RequestContext};

/// Maximum number of concurrent requests, including those whose client has disconnected.
const MAX_REQUESTS_IN_FLIGHT: u32 = 4_096;
/// Time that the handler of a write may still run after its client has disconnected or got a 503.
/// Longer than the `statement_timeout` of the database.
const ABANDON_AFTER: Duration = Duration::from_secs(35);
/// Successful requests that take longer are logged at level info.
const SLOW_REQUEST: Duration = Duration::from_secs(1);

/// State of the middleware of a service.
pub struct RequestObserver {
    service: &'static str,
    /// Source of the time in request ids.
    clock: Clock,
    /// Histograms by route. This cache is needed because looking up a histogram by its labels costs
    /// more than all other work of the middleware.
    histograms: RwLock<HashMap<String, DurationHistograms>>,
    in_flight: Arc<Semaphore>,
}

/// Histograms of a route by method and status.
type DurationHistograms = HashMap<(&'static str, StatusCode), Histogram>;

impl RequestObserver {
    #[must_use]
    pub fn new(service: &'static str, clock: Clock) -> Self {
        Self {
            service,
            clock,
            histograms: RwLock::default(),
            in_flight: Arc::new(Semaphore::new(MAX_REQUESTS_IN_FLIGHT as usize)),
        }
    }

    /// Waits until all handlers have finished, including those whose client has disconnected.
    pub async fn wait_until_idle(&self) {
        // The semaphore is never closed.
        let _ = self.in_flight.acquire_many(MAX_REQUESTS_IN_FLIGHT).await;
    }

    fn record(&self, route: &str, method: &Method, status: StatusCode, took: Duration) {
        let key = (method_label(method), status);
        let known = self
            .histograms
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(histogram) = known.get(route).and_then(|route| route.get(&key)) {
            return histogram.record(took.as_secs_f64());
        }
        drop(known);
        let histogram = metrics::histogram!("http_request_duration_seconds",
            "service" => self.service, "method" => key.0,
            "route" => route.to_owned(), "status" => status.as_u16().to_string());
        histogram.record(took.as_secs_f64());
        let mut known = self
            .histograms
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        known
            .entry(route.to_owned())
            .or_default()
            .insert(key, histogram);
    }
}

/// The middleware. It logs the route, and never a path, query or address.
pub async fn observe_request(
    State(observer): State<Arc<RequestObserver>>,
    request: Request,
    next: Next,
) -> Response {
    let started = Instant::now();
    let context = RequestContext::from_headers(request.headers(), &observer.clock);
    let (id, of_log) = (context.id.clone(), context.clone());
    let route = request.extensions().get::<MatchedPath>().cloned();
    let route = route.as_ref().map_or("(no such path)", MatchedPath::as_str);
    let method = request.method().clone();
    let place = observer.in_flight.clone().try_acquire_owned();
    let answer = CURRENT.scope(context.clone(), async {
        match place {
            Ok(place) => {
                let span = tracing::debug_span!(
                    "request", service = observer.service, %method, route,
                    request_id = context.id.to_str().ok(), trace_id = context.trace_id()
                );
                spawn_handler(context, next, request, place, span).await
            }
            Err(_) => overload_problem().into_response(),
        }
    });
    let mut response = answer.await;
    let status = response.status();
    let took = started.elapsed();
    let ms = took.as_micros() as f64 / 1e3;
    // Successful requests are only logged at level debug: a line for each would take a tenth of the
    // time of a visit, and the metrics count them. The log output adds the ids of the request.
    CURRENT.sync_scope(of_log, || {
        if status.is_success() && took < SLOW_REQUEST {
            tracing::debug!(service = observer.service, %method, route, status = status.as_u16(), ms, "request");
        } else {
            tracing::info!(service = observer.service, %method, route, status = status.as_u16(), ms, "request");
        }
    });
    observer.record(route, &method, status, took);
    response.headers_mut().insert(REQUEST_ID, id);
    response
}

/// Runs the handler in a separate task. If the client disconnects, a read is aborted, but a write
/// continues: a handler that is dropped between two statements would leave its transaction open in
/// the pool, and its in-memory state would differ from the database.
async fn spawn_handler(
    context: RequestContext,
    next: Next,
    request: Request,
    place: OwnedSemaphorePermit,
    span: Span,
) -> Response {
    let is_unhurried = context.is_timeout_disabled.clone();
    let is_read = request.method().is_safe();
    let handler = async move {
        let response = run_catching_panics(next, request).await;
        drop(place);
        response
    };
    let task = tokio::spawn(CURRENT.scope(context, handler.instrument(span)));
    let mut running = RunningHandler {
        task: Some(task),
        is_read,
        is_timeout_disabled: is_unhurried,
    };
    let done = match tokio::time::timeout(REQUEST_TIMEOUT, running.wait()).await {
        Ok(done) => done,
        Err(_) if running.is_timeout_disabled.load(Ordering::Relaxed) => running.wait().await,
        Err(_) => return timeout_problem().into_response(),
    };
    // The task catches panics. It is cancelled only when the process ends.
    done.unwrap_or_else(|| overload_problem().into_response())
}

/// The task of a handler. If this is dropped before the task is done, a read is aborted and a write
/// continues for at most [`ABANDON_AFTER`]. A handler waits longer only if its peer is unreachable
/// and the connection was not closed.
struct RunningHandler {
    task: Option<JoinHandle<Response>>,
    is_read: bool,
    is_timeout_disabled: Arc<AtomicBool>,
}

impl RunningHandler {
    async fn wait(&mut self) -> Option<Response> {
        let response = self.task.as_mut()?.await.ok();
        self.task = None;
        response
    }
}

impl Drop for RunningHandler {
    fn drop(&mut self) {
        let Some(mut task) = self.task.take() else {
            return;
        };
        if self.is_read {
            return task.abort();
        }
        let is_unhurried = self.is_timeout_disabled.clone();
        tokio::spawn(async move {
            while tokio::time::timeout(ABANDON_AFTER, &mut task)
                .await
                .is_err()
            {
                if !is_unhurried.load(Ordering::Relaxed) {
                    tracing::error!(
                        "a handler did not finish; it is aborted after {ABANDON_AFTER:?}"
                    );
                    return task.abort();
                }
            }
        });
    }
}

/// Turns a panic of the handler into a problem.
async fn run_catching_panics(next: Next, request: Request) -> Response {
    let answer = AssertUnwindSafe(next.run(request)).catch_unwind().await;
    answer.unwrap_or_else(|_| panic_problem().into_response())
}

fn panic_problem() -> Problem {
    tracing::error!("a handler panicked; the request gets a 500");
    Problem::new(
        StatusCode::INTERNAL_SERVER_ERROR,
        "INTERNAL",
        INTERNAL_DETAIL,
    )
}

fn overload_problem() -> Problem {
    Problem::busy("the service is handling too many requests; try again")
}

fn timeout_problem() -> Problem {
    tracing::error!("a request timed out after {REQUEST_TIMEOUT:?} and gets a 503");
    Problem::busy("the request timed out; try again")
}

/// Bounds the number of label values: all unknown methods share one.
fn method_label(method: &Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "HEAD" => "HEAD",
        "POST" => "POST",
        "PUT" => "PUT",
        "PATCH" => "PATCH",
        "DELETE" => "DELETE",
        "OPTIONS" => "OPTIONS",
        _ => "other",
    }
}
