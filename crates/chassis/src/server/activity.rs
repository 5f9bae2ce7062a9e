//! Activity counters of a connection. They cost a few atomic additions per request.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::task::{Context, Poll};

use axum::body::{Body, HttpBody};
use axum::extract::Request;
use axum::http::Response;
use bytes::Bytes;
use hyper::body::{Frame, Incoming, SizeHint};

#[derive(Debug, Default)]
pub(super) struct ConnectionActivity {
    /// Number of requests so far.
    pub requests: AtomicU64,
    /// Requests for which the service is working: the handler runs, or the next chunk of the
    /// response is not ready.
    pub working: AtomicUsize,
    /// The part of `working` that waits for more of the request body.
    pub awaiting: AtomicUsize,
    /// Responses with data that wait for the client to read.
    pub unread: AtomicUsize,
    /// Whether the send buffer of the socket is full.
    pub is_blocked: AtomicBool,
    /// Bytes of request bodies.
    pub received: AtomicU64,
    /// Bytes of response bodies that were produced, written or not.
    pub queued: AtomicU64,
    /// Bytes written to the socket.
    pub written: AtomicU64,
}

/// Counts a request from its head to the end of its response.
#[derive(Debug)]
pub(super) struct RequestGuard {
    activity: Arc<ConnectionActivity>,
    /// Whether the request is counted in `unread` instead of `working`.
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

    pub(super) fn wrap_response(mut self, response: Response<Body>) -> Response<CountedResponse> {
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

/// The body of a response. It is polled only when the client can receive more. Therefore, if the
/// last poll returned data, the service waits for the client; this holds for HTTP/1 and HTTP/2.
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

/// The body of a request.
struct CountedRequest {
    body: Incoming,
    activity: Arc<ConnectionActivity>,
    /// Whether the request is counted in `awaiting`.
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
