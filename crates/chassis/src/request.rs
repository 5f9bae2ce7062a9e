//! What happens around every request: its id, a line in the log, its metrics, a time limit.

use std::cell::Cell;
use std::collections::HashMap;
use std::convert::Infallible;
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use common::clock::Clock;
use futures::FutureExt as _;
use metrics::Histogram;
use tower::{Layer as _, ServiceExt as _, service_fn};
use tower_http::decompression::RequestDecompressionLayer;

use crate::Problem;

/// The header that names a request across services.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// The W3C trace context, passed along as it came.
pub const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// A request that takes longer is given up.
const LIMIT: Duration = Duration::from_secs(30);
/// A request that takes longer is told of even when it goes well.
const SLOW: Duration = Duration::from_secs(1);
/// Longer ids are replaced.
const LONGEST_ID: usize = 64;

/// What outgoing calls carry on from the request that caused them.
#[derive(Clone, Debug)]
pub struct Context {
    /// The request's id.
    pub id: HeaderValue,
    /// The caller's trace context, where it sent one.
    pub traceparent: Option<HeaderValue>,
    /// Whether the request may take as long as it does.
    unhurried: Cell<bool>,
}

tokio::task_local! {
    static CURRENT: Context;
}

/// The present request's id.
#[must_use]
pub fn current_id() -> Option<String> {
    current().and_then(|context| Some(context.id.to_str().ok()?.to_owned()))
}

/// The present request's context, inside a request.
#[must_use]
pub fn current() -> Option<Context> {
    CURRENT.try_with(Clone::clone).ok()
}

/// Reads the present request's context, inside a request.
pub(crate) fn with_current<T>(read: impl FnOnce(&Context) -> T) -> Option<T> {
    CURRENT.try_with(read).ok()
}

impl Context {
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
            unhurried: Cell::new(false),
        }
    }
}

/// Lets the present request take longer than others, such as one whose body is a large file.
/// Whoever calls this sees to it that it ends when nothing happens any more.
pub fn take_time() {
    // Outside a request there is nothing to hurry.
    let _ = CURRENT.try_with(|context| context.unhurried.set(true));
}

/// Who observes: the service's name, its clock, and the histograms of its requests.
pub struct Observer {
    service: &'static str,
    /// Ids are made from its time.
    clock: Clock,
    /// By route, method and status. To find a histogram by its labels costs more than the rest of
    /// observing a request.
    times: RwLock<HashMap<String, Outcomes>>,
}

/// The histograms of a route, by method and status.
type Outcomes = HashMap<(&'static str, StatusCode), Histogram>;

impl Observer {
    /// Observes a service's requests.
    #[must_use]
    pub fn new(service: &'static str, clock: Clock) -> Self {
        let times = RwLock::default();
        Self {
            service,
            clock,
            times,
        }
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
    State(observer): State<Arc<Observer>>,
    request: Request,
    next: Next,
) -> Response {
    let started = Instant::now();
    let context = context(request.headers(), &observer.clock);
    let (id, of_log) = (context.id.clone(), context.clone());
    let route = request.extensions().get::<MatchedPath>().cloned();
    let route = route.as_ref().map_or("(no such path)", MatchedPath::as_str);
    let method = request.method().clone();
    let answer = CURRENT.scope(context, async {
        let mut answer = pin!(run(next, request));
        match tokio::time::timeout(LIMIT, &mut answer).await {
            Ok(response) => response,
            Err(_) if CURRENT.with(|context| context.unhurried.get()) => answer.await,
            Err(_) => timed_out().into_response(),
        }
    });
    let mut response = answer.await;
    let status = response.status();
    let took = started.elapsed();
    let ms = took.as_micros() as f64 / 1e3;
    // Metrics count what goes well; a line each would drown the rest, and cost a tenth of a visit.
    // The log adds the ids of the request.
    CURRENT.sync_scope(of_log, || {
        if status.is_success() && took < SLOW {
            tracing::debug!(service = observer.service, %method, route, status = status.as_u16(), ms, "request");
        } else {
            tracing::info!(service = observer.service, %method, route, status = status.as_u16(), ms, "request");
        }
    });
    observer.record(route, &method, status, took);
    response.headers_mut().insert(REQUEST_ID, id);
    response
}

/// Unpacks the body where it is packed, and turns a panic into a problem.
async fn run(next: Next, request: Request) -> Response {
    let is_packed = request.headers().contains_key(header::CONTENT_ENCODING);
    let answer = AssertUnwindSafe(async {
        if is_packed {
            // Apart: it is seldom needed, and large; every request would carry its room along.
            Box::pin(unpack(next, request)).await
        } else {
            next.run(request).await
        }
    });
    let answer = answer.catch_unwind().await;
    answer.unwrap_or_else(|_| panicked().into_response())
}

async fn unpack(next: Next, request: Request) -> Response {
    let inner = service_fn(|request: axum::http::Request<_>| {
        let next = next.clone();
        async move { Ok(next.run(request.map(Body::new)).await) }
    });
    let layer = RequestDecompressionLayer::new().pass_through_unaccepted(true);
    let answer: Result<_, Infallible> = layer.layer(inner).oneshot(request).await;
    match answer {
        Ok(response) => response.into_response(),
        Err(never) => match never {},
    }
}

fn context(headers: &HeaderMap, clock: &Clock) -> Context {
    let given = headers.get(REQUEST_ID).filter(|id| {
        let bytes = id.as_bytes();
        (1..=LONGEST_ID).contains(&bytes.len()) && bytes.iter().all(u8::is_ascii_graphic)
    });
    let id = given.cloned().unwrap_or_else(|| {
        HeaderValue::try_from(clock.new_id().to_string()).expect("a UUID is plain ASCII")
    });
    let traceparent = headers.get(TRACEPARENT).cloned();
    Context {
        id,
        traceparent,
        unhurried: Cell::new(false),
    }
}

fn panicked() -> Problem {
    tracing::error!("a handler panicked");
    let detail = "something went wrong here; the log knows it by the request id";
    Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "INTERNAL", detail)
}

fn timed_out() -> Problem {
    tracing::error!("request given up after {LIMIT:?}");
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
