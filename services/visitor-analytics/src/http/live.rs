//! `GET /visits/live`.

use std::collections::{HashSet, VecDeque};
use std::time::Duration;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::sse::{Event, KeepAlive, Sse};
use chassis::Problem;
use chassis::extract::Query;
use chassis::stream::{ReaderStalled, STALL_TIMEOUT, give_up_when_stalled};
use chrono::{DateTime, TimeDelta, Utc};
use common::visitor_analytics::Visit;
use futures::Stream;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::analytics::question::QueryPairs;
use super::list::{cursor, read_cursor, wrong};
use super::pick;
use super::site_scope::SiteScope;
use crate::domain::pick::VisitFilter;
use crate::workers::live::{LiveEvent, Subscription};

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
    params(pick::VisitFilterParams,
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
    State(state): State<super::SharedState>,
    scope: SiteScope,
    Query(pairs): Query<QueryPairs>,
    headers: HeaderMap,
) -> Result<Sse<impl Stream<Item = Result<Event, ReaderStalled>>>, Problem> {
    let now = state.clock.now();
    let pick = pick::read(&state.store, scope.limit(pairs)?).await?;
    let after = last_event(&headers)?.unwrap_or((now, Uuid::nil()));
    let listening = state.hub.listen(scope.subject());
    let listening =
        listening.map_err(|_| Problem::busy("too many live streams are open; retry later"))?;
    let lifetime = u64::try_from(scope.token_ends_at() - now.timestamp()).unwrap_or(0);
    let listener = LiveStream {
        listening,
        pick,
        after: Some(after),
        opened_at: now,
        due: VecDeque::from([Event::default().comment("listening").retry(SSE_RETRY_DELAY)]),
        known: HashSet::new(),
        ends_at: Instant::now() + Duration::from_secs(lifetime),
        closing: state.closing.clone(),
    };
    let events = futures::stream::unfold(listener, async |mut listener| {
        let event = listener.next().await?;
        Some((event, listener))
    });
    let events = give_up_when_stalled(events, STALL_TIMEOUT);
    Ok(Sse::new(events).keep_alive(KeepAlive::new().interval(HEARTBEAT_INTERVAL)))
}

fn last_event(headers: &HeaderMap) -> Result<Option<(DateTime<Utc>, Uuid)>, Problem> {
    let Some(id) = headers.get("last-event-id").filter(|id| !id.is_empty()) else {
        return Ok(None);
    };
    let found = id.to_str().ok().and_then(read_cursor);
    let refuse = || {
        wrong(
            "last-event-id",
            "not an event id of this stream; omit the header to start with new visits",
        )
    };
    found.map(Some).ok_or_else(refuse)
}

struct LiveStream {
    listening: Subscription,
    pick: VisitFilter,
    /// Position after which visits are replayed; `None` once the replay was read.
    after: Option<(DateTime<Utc>, Uuid)>,
    opened_at: DateTime<Utc>,
    /// Events to send before receiving further ones.
    due: VecDeque<Event>,
    /// Replayed visits, which the subscription may deliver again.
    known: HashSet<Uuid>,
    ends_at: Instant,
    closing: CancellationToken,
}

impl LiveStream {
    async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = self.due.pop_front() {
                return Some(event);
            }
            let closing = self.closing.clone();
            tokio::select! {
                () = closing.cancelled() => return None,
                () = tokio::time::sleep_until(self.ends_at) => return None,
                heard = self.hear() => heard?,
            }
        }
    }

    /// Receives one event and queues it if the filter matches; `None` ends the stream.
    async fn hear(&mut self) -> Option<()> {
        if let Some(after) = self.after {
            self.due = self.catch_up(after).await;
            self.after = None;
            return Some(());
        }
        match self.listening.next().await? {
            LiveEvent::Missed => self.due.push_back(missed()),
            LiveEvent::Visit(visit) => {
                if self.pick.takes(&visit) && !self.known.remove(&visit.id) {
                    self.due.push_back(event(&visit));
                }
            }
        }
        Some(())
    }

    async fn catch_up(&mut self, (after, id): (DateTime<Utc>, Uuid)) -> VecDeque<Event> {
        let earliest = self.opened_at - MAX_REPLAY_AGE;
        let from = (after.max(earliest), id);
        let site = self.pick.site.as_deref();
        let mut due = VecDeque::new();
        match self.listening.since(site, from).await {
            Ok((visits, is_more)) => {
                if is_more || after < earliest {
                    due.push_back(missed());
                }
                let wanted = visits.iter().filter(|visit| self.pick.takes(visit));
                due.extend(wanted.map(event));
                self.known = visits.iter().map(|visit| visit.id).collect();
            }
            Err(error) => {
                tracing::warn!(%error, "cannot read visits to replay; sending a missed event");
                due.push_back(missed());
            }
        }
        due
    }
}

fn event(visit: &Visit) -> Event {
    let event = Event::default().event("visit");
    // Cannot fail: all fields of a visit are representable as JSON.
    let data = serde_json::to_string(visit).unwrap_or_default();
    event.id(cursor(visit.received_at, visit.id)).data(data)
}

fn missed() -> Event {
    let detail = r#"{"detail":"visits were omitted; GET /visits lists them"}"#;
    Event::default().event("missed").data(detail)
}
