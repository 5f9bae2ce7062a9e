//! What happens around every request: its id, a line in the log, its metrics, a time limit, and a
//! task of its own.

use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use common::clock::Clock;
use futures::FutureExt as _;
use metrics::Histogram;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinHandle;

use crate::Problem;

/// The header that names a request across services.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// The W3C trace context, passed along as it came.
pub const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// Requests that are handled at a time, including those whose client has gone.
const MAX_REQUESTS_IN_FLIGHT: u32 = 4_096;
/// A request that takes longer is answered with 503; its handler still runs to its end.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a handler goes on after its client has gone or was answered with 503. Longer than the
/// database's `statement_timeout`.
const ABANDON_AFTER: Duration = Duration::from_secs(35);
/// A request that takes longer is told of even when it goes well.
const SLOW_REQUEST: Duration = Duration::from_secs(1);
/// Longer ids are replaced.
const MAX_REQUEST_ID_BYTES: usize = 64;

/// What outgoing calls carry on from the request that caused them.
#[derive(Clone, Debug)]
pub struct RequestContext {
    /// The request's id.
    pub id: HeaderValue,
    /// The caller's trace context, where it sent one.
    pub traceparent: Option<HeaderValue>,
    /// When the client is answered with 503 if there is no other answer.
    deadline: Instant,
    /// Whether the request may take longer than others.
    is_unhurried: Arc<AtomicBool>,
}

tokio::task_local! {
    static CURRENT: RequestContext;
}

/// The present request's id.
#[must_use]
pub fn current_id() -> Option<String> {
    current().and_then(|context| Some(context.id.to_str().ok()?.to_owned()))
}

/// The present request's context, inside a request.
#[must_use]
pub fn current() -> Option<RequestContext> {
    CURRENT.try_with(Clone::clone).ok()
}

/// Whether nobody waits for the present request's answer any more, since it took too long. Long
/// computations of several steps ask before each.
#[must_use]
pub fn is_overdue() -> bool {
    let overdue = CURRENT.try_with(|context| {
        context.deadline < Instant::now() && !context.is_unhurried.load(Ordering::Relaxed)
    });
    overdue.unwrap_or_default()
}

/// Reads the present request's context, inside a request.
pub(crate) fn with_current<T>(read: impl FnOnce(&RequestContext) -> T) -> Option<T> {
    CURRENT.try_with(read).ok()
}

impl RequestContext {
    /// The trace's id, where the caller sent a valid trace context (W3C Trace Context, 3.2).
    pub(crate) fn trace_id(&self) -> Option<&str> {
        let id = self
            .traceparent
            .as_ref()?
            .to_str()
            .ok()?
            .split('-')
            .nth(1)?;
        let is_valid = id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
        is_valid.then_some(id)
    }

    #[cfg(test)]
    pub(crate) fn for_test(id: &str, traceparent: Option<&str>) -> Self {
        Self {
            id: id.try_into().unwrap(),
            traceparent: traceparent.map(|text| text.try_into().unwrap()),
            deadline: Instant::now() + REQUEST_TIMEOUT,
            is_unhurried: Arc::default(),
        }
    }
}

/// Lets the present request take longer than others, such as one whose body is a large file.
/// Whoever calls this sees to it that it ends when nothing happens any more.
pub fn take_time() {
    // Outside a request there is nothing to hurry.
    let _ = CURRENT.try_with(|context| context.is_unhurried.store(true, Ordering::Relaxed));
}

/// Who observes: the service's name, its clock, and the histograms of its requests.
pub struct RequestObserver {
    service: &'static str,
    /// Ids are made from its time.
    clock: Clock,
    /// By route, method and status. To find a histogram by its labels costs more than the rest of
    /// observing a request.
    times: RwLock<HashMap<String, DurationHistograms>>,
    in_flight: Arc<Semaphore>,
}

/// The histograms of a route, by method and status.
type DurationHistograms = HashMap<(&'static str, StatusCode), Histogram>;

impl RequestObserver {
    /// Observes a service's requests.
    #[must_use]
    pub fn new(service: &'static str, clock: Clock) -> Self {
        Self {
            service,
            clock,
            times: RwLock::default(),
            in_flight: Arc::new(Semaphore::new(MAX_REQUESTS_IN_FLIGHT as usize)),
        }
    }

    /// Waits until no request is handled any more, also none whose client has gone.
    pub async fn drained(&self) {
        // The semaphore is never closed.
        let _ = self.in_flight.acquire_many(MAX_REQUESTS_IN_FLIGHT).await;
    }

    fn record(&self, route: &str, method: &Method, status: StatusCode, took: Duration) {
        let key = (method_label(method), status);
        let known = self.times.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(histogram) = known.get(route).and_then(|route| route.get(&key)) {
            return histogram.record(took.as_secs_f64());
        }
        drop(known);
        let histogram = metrics::histogram!("http_request_duration_seconds",
            "service" => self.service, "method" => key.0,
            "route" => route.to_owned(), "status" => status.as_u16().to_string());
        histogram.record(took.as_secs_f64());
        let mut known = self.times.write().unwrap_or_else(PoisonError::into_inner);
        known
            .entry(route.to_owned())
            .or_default()
            .insert(key, histogram);
    }
}

/// The middleware. Never logs a path, query or address: only the route.
pub async fn observe(
    State(observer): State<Arc<RequestObserver>>,
    request: Request,
    next: Next,
) -> Response {
    let started = Instant::now();
    let context = context(request.headers(), &observer.clock);
    let (id, of_log) = (context.id.clone(), context.clone());
    let route = request.extensions().get::<MatchedPath>().cloned();
    let route = route.as_ref().map_or("(no such path)", MatchedPath::as_str);
    let method = request.method().clone();
    let place = observer.in_flight.clone().try_acquire_owned();
    let answer = CURRENT.scope(context.clone(), async {
        match place {
            Ok(place) => handle(context, next, request, place).await,
            Err(_) => overloaded().into_response(),
        }
    });
    let mut response = answer.await;
    let status = response.status();
    let took = started.elapsed();
    let ms = took.as_micros() as f64 / 1e3;
    // Metrics count what goes well; a line each would drown the rest, and cost a tenth of a visit.
    // The log adds the ids of the request.
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

/// Runs the handler in a task of its own. A client that hangs up ends a read, but not a write: a
/// handler that is dropped between two statements would leave its transaction open in the pool, and
/// what it remembers different from what it stored.
async fn handle(
    context: RequestContext,
    next: Next,
    request: Request,
    place: OwnedSemaphorePermit,
) -> Response {
    let is_unhurried = context.is_unhurried.clone();
    let is_read = request.method().is_safe();
    let task = tokio::spawn(CURRENT.scope(context, async move {
        let response = run(next, request).await;
        drop(place);
        response
    }));
    let mut running = RunningHandler {
        task: Some(task),
        is_read,
        is_unhurried,
    };
    let done = match tokio::time::timeout(REQUEST_TIMEOUT, running.done()).await {
        Ok(done) => done,
        Err(_) if running.is_unhurried.load(Ordering::Relaxed) => running.done().await,
        Err(_) => return timed_out().into_response(),
    };
    // Panics are caught in the task; it is cancelled only when the process ends.
    done.unwrap_or_else(|| overloaded().into_response())
}

/// A handler's task. Nobody waits for it any more when this is dropped before the task is done. A
/// write is then given [`ABANDON_AFTER`], since nothing that a handler waits for takes longer unless
/// the other side has vanished without a word.
struct RunningHandler {
    task: Option<JoinHandle<Response>>,
    is_read: bool,
    is_unhurried: Arc<AtomicBool>,
}

impl RunningHandler {
    async fn done(&mut self) -> Option<Response> {
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
        let is_unhurried = self.is_unhurried.clone();
        tokio::spawn(async move {
            while tokio::time::timeout(ABANDON_AFTER, &mut task)
                .await
                .is_err()
            {
                if !is_unhurried.load(Ordering::Relaxed) {
                    tracing::error!("a handler hangs and is abandoned after {ABANDON_AFTER:?}");
                    return task.abort();
                }
            }
        });
    }
}

/// Turns a panic into a problem.
async fn run(next: Next, request: Request) -> Response {
    let answer = AssertUnwindSafe(next.run(request)).catch_unwind().await;
    answer.unwrap_or_else(|_| panicked().into_response())
}

fn context(headers: &HeaderMap, clock: &Clock) -> RequestContext {
    let given = headers.get(REQUEST_ID).filter(|id| {
        let bytes = id.as_bytes();
        (1..=MAX_REQUEST_ID_BYTES).contains(&bytes.len()) && bytes.iter().all(u8::is_ascii_graphic)
    });
    let id = given.cloned().unwrap_or_else(|| {
        HeaderValue::try_from(clock.new_id().to_string()).expect("a UUID is plain ASCII")
    });
    let traceparent = headers.get(TRACEPARENT).cloned();
    RequestContext {
        id,
        traceparent,
        deadline: Instant::now() + REQUEST_TIMEOUT,
        is_unhurried: Arc::default(),
    }
}

fn panicked() -> Problem {
    tracing::error!("a handler panicked");
    let detail = "something went wrong here; the log knows it by the request id";
    Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "INTERNAL", detail)
}

fn overloaded() -> Problem {
    Problem::busy("too many requests are being handled; try again")
}

fn timed_out() -> Problem {
    tracing::error!("no answer after {REQUEST_TIMEOUT:?}; the request is answered with 503");
    Problem::busy("this took too long; try again")
}

/// Labels must not grow without bound: methods that HTTP does not know are one.
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
