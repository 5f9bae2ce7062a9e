//! What happens on a connection, counted where it happens: a few atomic additions a request.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::task::{Context, Poll};

use axum::body::{Body, HttpBody};
use axum::extract::Request;
use axum::http::Response;
use bytes::Bytes;
use hyper::body::{Frame, Incoming, SizeHint};

/// What has happened on a connection.
#[derive(Debug, Default)]
pub(super) struct ConnectionActivity {
    /// Requests that have begun.
    pub requests: AtomicU64,
    /// Requests whose handler works, or whose answer's next piece is not made yet.
    pub working: AtomicUsize,
    /// Those of them that wait for more of their body.
    pub awaiting: AtomicUsize,
    /// Answers of which the client takes the next piece when it likes.
    pub unread: AtomicUsize,
    /// Whether the socket takes no more at present.
    pub is_blocked: AtomicBool,
    /// Bytes of requests' bodies.
    pub received: AtomicU64,
    /// Bytes of answers' bodies, written or to be written.
    pub queued: AtomicU64,
    /// Bytes that the socket has taken.
    pub written: AtomicU64,
}

/// A request from its head to the end of its answer.
#[derive(Debug)]
pub(super) struct RequestGuard {
    activity: Arc<ConnectionActivity>,
    /// Counted in `unread`, or else in `working`.
    is_unread: bool,
}

impl RequestGuard {
    pub(super) fn begin(
        activity: &Arc<ConnectionActivity>,
        request: Request<Incoming>,
    ) -> (Self, Request<Body>) {
        activity.requests.fetch_add(1, Relaxed);
        activity.working.fetch_add(1, Relaxed);
        let request = request.map(|body| {
            if body.is_end_stream() {
                return Body::empty();
            }
            Body::new(CountedRequest {
                body,
                activity: activity.clone(),
                is_awaiting: false,
            })
        });
        let guard = Self {
            activity: activity.clone(),
            is_unread: false,
        };
        (guard, request)
    }

    pub(super) fn answer(mut self, response: Response<Body>) -> Response<CountedResponse> {
        self.set_unread(true);
        response.map(|body| CountedResponse { body, guard: self })
    }

    fn counter(&self) -> &AtomicUsize {
        if self.is_unread {
            &self.activity.unread
        } else {
            &self.activity.working
        }
    }

    fn set_unread(&mut self, is_unread: bool) {
        if self.is_unread != is_unread {
            self.counter().fetch_sub(1, Relaxed);
            self.is_unread = is_unread;
            self.counter().fetch_add(1, Relaxed);
        }
    }
}

impl Drop for RequestGuard {
    fn drop(&mut self) {
        self.counter().fetch_sub(1, Relaxed);
    }
}

/// An answer's body. It is polled when the client has room for more, so whether its last poll
/// brought something shows whether the service waits for the client, in HTTP/1 and HTTP/2 alike.
#[derive(Debug)]
pub(super) struct CountedResponse {
    body: Body,
    guard: RequestGuard,
}

impl HttpBody for CountedResponse {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(context);
        self.guard.set_unread(polled.is_ready());
        if let Poll::Ready(Some(Ok(frame))) = &polled {
            let length = frame.data_ref().map_or(0, Bytes::len);
            let queued = &self.guard.activity.queued;
            queued.fetch_add(length as u64, Relaxed);
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A request's body.
struct CountedRequest {
    body: Incoming,
    activity: Arc<ConnectionActivity>,
    /// Counted in `awaiting`.
    is_awaiting: bool,
}

impl CountedRequest {
    fn set_awaiting(&mut self, is_awaiting: bool) {
        if self.is_awaiting != is_awaiting {
            self.is_awaiting = is_awaiting;
            if is_awaiting {
                self.activity.awaiting.fetch_add(1, Relaxed);
            } else {
                self.activity.awaiting.fetch_sub(1, Relaxed);
            }
        }
    }
}

impl Drop for CountedRequest {
    fn drop(&mut self) {
        self.set_awaiting(false);
    }
}

impl HttpBody for CountedRequest {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(context);
        self.set_awaiting(polled.is_pending());
        if let Poll::Ready(Some(Ok(frame))) = &polled {
            let length = frame.data_ref().map_or(0, Bytes::len);
            self.activity.received.fetch_add(length as u64, Relaxed);
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
