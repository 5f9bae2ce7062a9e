//! `GET /visits/live`.

use std::collections::{HashSet, VecDeque};
use std::time::Duration;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::sse::{Event, KeepAlive, Sse};
use chassis::Problem;
use chassis::extract::Query;
use chassis::stream::{ReaderStalled, STALL_TIMEOUT, drop_when_stalled};
use chrono::{DateTime, TimeDelta, Utc};
use common::visitor_analytics::Visit;
use futures::Stream;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::query_params::{QueryPairs, decode_cursor, encode_cursor, invalid_param};
use super::site_scope::SiteScope;
use super::state::SharedState;
use super::visit_filter;
use crate::app::live::{LiveEvent, Subscription};
use crate::domain::visit_filter::VisitFilter;

/// Interval of the comments that are sent without an event. Proxies commonly close a connection
/// that is idle for a minute.
const HEARTBEAT_INTERVAL: Duration = Duration::from_secs(15);
/// Delay after which a browser reconnects.
const SSE_RETRY_DELAY: Duration = Duration::from_secs(3);
/// Visits older than this are not replayed to a client that reconnects.
const MAX_REPLAY_AGE: TimeDelta = TimeDelta::hours(1);

/// Stream visits as server-sent events.
///
/// Sends the visits that any replica records, except imported visits and visits that are more than
/// five minutes old. The data of a `visit` event is a visit as returned by
/// `GET /visits/{id}`. A client that sends the id of its last event as `Last-Event-ID` within an
/// hour first receives the visits recorded after that one, at most 250. A `missed` event means that
/// visits were omitted, for example because the client was too slow; `GET /visits` lists them.
/// Filters are those of reports except `entry_page` and `exit_page`, and match each visit's own
/// fields. The stream ends when the token expires, or when the client reads nothing for 30 seconds.
#[utoipa::path(get, path = "/visits/live", tag = "visits",
    params(visit_filter::VisitFilterParams,
        ("Last-Event-ID" = Option<String>, Header, description = "Id of the last received event")),
    responses(
        (status = 200, body = String, content_type = "text/event-stream",
            description = "Events `visit`, with a visit as JSON, and `missed`"),
        (status = 400, description = "A parameter is invalid; `field` names it"),
        (status = 503,
            description = "The process serves 100 streams already, or 50 of this token; retry \
                later"),
    ))]
pub(super) async fn live(
    State(state): State<SharedState>,
    scope: SiteScope,
    Query(pairs): Query<QueryPairs>,
    headers: HeaderMap,
) -> Result<Sse<impl Stream<Item = Result<Event, ReaderStalled>>>, Problem> {
    let now = state.clock.now();
    let filter = visit_filter::parse_filter(&state.store, scope.restrict(pairs)?).await?;
    let after = parse_last_event_id(&headers)?.unwrap_or((now, Uuid::nil()));
    let subscription = state.live_hub.subscribe(scope.subject());
    let subscription =
        subscription.map_err(|_| Problem::busy("too many live streams are open; retry later"))?;
    let lifetime = u64::try_from(scope.token_expires_at() - now.timestamp()).unwrap_or(0);
    let listener = LiveStream {
        subscription,
        filter,
        replay_after: Some(after),
        opened_at: now,
        queued: VecDeque::from([Event::default().comment("listening").retry(SSE_RETRY_DELAY)]),
        replayed_ids: HashSet::new(),
        expires_at: Instant::now() + Duration::from_secs(lifetime),
        shutdown: state.shutdown.clone(),
    };
    let events = futures::stream::unfold(listener, async |mut listener| {
        let event = listener.next_event().await?;
        Some((event, listener))
    });
    let events = drop_when_stalled(events, STALL_TIMEOUT);
    Ok(Sse::new(events).keep_alive(KeepAlive::new().interval(HEARTBEAT_INTERVAL)))
}

fn parse_last_event_id(headers: &HeaderMap) -> Result<Option<(DateTime<Utc>, Uuid)>, Problem> {
    let Some(id) = headers.get("last-event-id").filter(|id| !id.is_empty()) else {
        return Ok(None);
    };
    let found = id.to_str().ok().and_then(decode_cursor);
    let refuse = || {
        invalid_param(
            "last-event-id",
            "not an event id of this stream; omit the header to start with new visits",
        )
    };
    found.map(Some).ok_or_else(refuse)
}

struct LiveStream {
    subscription: Subscription,
    filter: VisitFilter,
    /// Position after which visits are replayed; `None` once the replay was read.
    replay_after: Option<(DateTime<Utc>, Uuid)>,
    opened_at: DateTime<Utc>,
    /// Events to send before receiving further ones.
    queued: VecDeque<Event>,
    /// Replayed visits, which the subscription may deliver again.
    replayed_ids: HashSet<Uuid>,
    expires_at: Instant,
    shutdown: CancellationToken,
}

impl LiveStream {
    async fn next_event(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = self.queued.pop_front() {
                return Some(event);
            }
            let closing = self.shutdown.clone();
            tokio::select! {
                () = closing.cancelled() => return None,
                () = tokio::time::sleep_until(self.expires_at) => return None,
                received = self.receive() => received?,
            }
        }
    }

    /// Receives one event and queues it if the filter matches; `None` ends the stream.
    async fn receive(&mut self) -> Option<()> {
        if let Some(after) = self.replay_after {
            self.queued = self.replay(after).await;
            self.replay_after = None;
            return Some(());
        }
        match self.subscription.next_event().await? {
            LiveEvent::Missed => self.queued.push_back(missed_event()),
            LiveEvent::Visit(visit) => {
                if self.filter.matches(&visit) && !self.replayed_ids.remove(&visit.id) {
                    self.queued.push_back(visit_event(&visit));
                }
            }
        }
        Some(())
    }

    async fn replay(&mut self, (after, id): (DateTime<Utc>, Uuid)) -> VecDeque<Event> {
        let earliest = self.opened_at - MAX_REPLAY_AGE;
        let from = (after.max(earliest), id);
        let site = self.filter.site.as_deref();
        let mut due = VecDeque::new();
        match self.subscription.replay_after(site, from).await {
            Ok((visits, is_more)) => {
                if is_more || after < earliest {
                    due.push_back(missed_event());
                }
                let matching = visits.iter().filter(|visit| self.filter.matches(visit));
                due.extend(matching.map(visit_event));
                self.replayed_ids = visits.iter().map(|visit| visit.id).collect();
            }
            Err(error) => {
                tracing::warn!(%error, "cannot read visits to replay; sending a missed event");
                due.push_back(missed_event());
            }
        }
        due
    }
}

fn visit_event(visit: &Visit) -> Event {
    let event = Event::default().event("visit");
    // Cannot fail: all fields of a visit are representable as JSON.
    let data = serde_json::to_string(visit).unwrap_or_default();
    event
        .id(encode_cursor(visit.received_at, visit.id))
        .data(data)
}

fn missed_event() -> Event {
    let detail = r#"{"detail":"visits were omitted; GET /visits lists them"}"#;
    Event::default().event("missed").data(detail)
}
