//! The context of a request: its id, trace context and timeout.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use common::clock::Clock;

/// Header with the request id. Services pass it on.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// The W3C trace context. It is passed on unchanged.
pub const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// A request that takes longer gets a 503. The handler of a write still runs to completion.
pub(crate) const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);
/// Longer request ids of callers are replaced.
const MAX_REQUEST_ID_BYTES: usize = 64;

/// Context of a request. Outgoing calls of its handler pass it on.
#[derive(Clone, Debug)]
pub struct RequestContext {
    pub id: HeaderValue,
    /// The trace context that the caller sent.
    pub traceparent: Option<HeaderValue>,
    /// At this time the client gets a 503.
    deadline: Instant,
    /// Whether the timeout is disabled.
    pub(crate) is_timeout_disabled: Arc<AtomicBool>,
}

tokio::task_local! {
    pub(crate) static CURRENT: RequestContext;
}

/// The id of the current request, if called inside one.
#[must_use]
pub fn current_id() -> Option<String> {
    current().and_then(|context| Some(context.id.to_str().ok()?.to_owned()))
}

/// The context of the current request, if called inside one.
#[must_use]
pub fn current() -> Option<RequestContext> {
    CURRENT.try_with(Clone::clone).ok()
}

/// Whether the current request has exceeded its timeout, so that no client waits for the response.
/// Long computations check this before each step.
#[must_use]
pub fn is_timed_out() -> bool {
    let overdue = CURRENT.try_with(|context| {
        context.deadline < Instant::now() && !context.is_timeout_disabled.load(Ordering::Relaxed)
    });
    overdue.unwrap_or_default()
}

/// Calls `read` with the context of the current request, if called inside one.
pub(crate) fn with_current<T>(read: impl FnOnce(&RequestContext) -> T) -> Option<T> {
    CURRENT.try_with(read).ok()
}

impl RequestContext {
    /// Takes the ids from the headers, and creates an id if the caller sent no valid one.
    pub(crate) fn from_headers(headers: &HeaderMap, clock: &Clock) -> Self {
        let given = headers.get(REQUEST_ID).filter(|id| {
            let bytes = id.as_bytes();
            (1..=MAX_REQUEST_ID_BYTES).contains(&bytes.len())
                && bytes.iter().all(u8::is_ascii_graphic)
        });
        let id = given.cloned().unwrap_or_else(|| {
            HeaderValue::try_from(clock.new_id().to_string())
                .expect("a UUID is a valid header value")
        });
        let traceparent = headers.get(TRACEPARENT).cloned();
        Self {
            id,
            traceparent,
            deadline: Instant::now() + REQUEST_TIMEOUT,
            is_timeout_disabled: Arc::default(),
        }
    }

    /// The trace id, if the caller sent a valid trace context (W3C Trace Context, 3.2).
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
            is_timeout_disabled: Arc::default(),
        }
    }
}

/// Disables the timeout of the current request, for example because its body is a large file. The
/// handler must then detect a stalled client itself.
pub fn disable_timeout() {
    // Outside of a request there is no timeout.
    let _ = CURRENT.try_with(|context| context.is_timeout_disabled.store(true, Ordering::Relaxed));
}
