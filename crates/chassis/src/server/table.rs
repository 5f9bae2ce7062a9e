//! The table of open connections: admission, eviction and timeouts.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use super::activity::ConnectionActivity;
use super::limits::ConnectionLimits;

/// A connection makes progress if its client sends or reads at least this many body bytes within
/// `idle_timeout`.
const MIN_PROGRESS_BYTES: u64 = 16_384;
/// If slots are needed, a connection whose client has neither sent nor read for this time may be
/// evicted.
const STALL_GRACE: Duration = Duration::from_secs(2);
/// An eviction frees 1/64 of all slots, because finding one idle connection costs as much as
/// finding many.
const EVICTION_DIVISOR: usize = 64;

#[derive(Debug)]
pub(super) struct ConnectionTable {
    limits: ConnectionLimits,
    connections: HashMap<u64, TrackedConnection>,
    peers: HashMap<IpAddr, usize>,
    next_number: u64,
    close_counters: CloseCounters,
}

/// Numbers of connections that were closed or refused because of the limits.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct CloseCounters {
    pub evicted: usize,
    pub refused: usize,
    pub unread: usize,
}

#[derive(Debug)]
struct TrackedConnection {
    peer: IpAddr,
    activity: Arc<ConnectionActivity>,
    close: Arc<Notify>,
    progress_at: Instant,
    seen_requests: u64,
    seen_bytes: u64,
    /// Values of `queued` and `written` when the client had last read everything.
    drained_counters: (u64, u64),
}

/// The slot of a connection. Dropping it frees the slot.
#[derive(Debug)]
pub(super) struct ConnectionSlot {
    pub activity: Arc<ConnectionActivity>,
    close: Arc<Notify>,
    number: u64,
    table: Arc<Mutex<ConnectionTable>>,
}

impl ConnectionSlot {
    /// Waits until the connection must be closed.
    pub(super) async fn wait_for_close(&self) {
        self.close.notified().await;
    }
}

impl Drop for ConnectionSlot {
    fn drop(&mut self) {
        lock(&self.table).remove(self.number);
    }
}

impl ConnectionTable {
    pub(super) fn new(limits: ConnectionLimits) -> Self {
        Self {
            limits,
            connections: HashMap::new(),
            peers: HashMap::new(),
            next_number: 0,
            close_counters: CloseCounters::default(),
        }
    }

    /// Returns a slot for a connection from `address`, and evicts idle connections if necessary.
    /// `None` if all connections are active.
    pub(super) fn admit(
        &mut self,
        table: &Arc<Mutex<Self>>,
        address: IpAddr,
        now: Instant,
    ) -> Option<ConnectionSlot> {
        let peer = peer_group(address);
        if self.is_peer_full(peer) {
            self.evict(Some(peer), now);
        } else if self.is_full() {
            self.evict(None, now);
        }
        if self.is_peer_full(peer) || self.is_full() {
            self.close_counters.refused += 1;
            return None;
        }
        let (number, activity, close) = (self.next_number, Arc::default(), Arc::default());
        self.next_number += 1;
        *self.peers.entry(peer).or_default() += 1;
        let connection = TrackedConnection {
            peer,
            activity: Arc::clone(&activity),
            close: Arc::clone(&close),
            progress_at: now,
            seen_requests: 0,
            seen_bytes: 0,
            drained_counters: (0, 0),
        };
        self.connections.insert(number, connection);
        Some(ConnectionSlot {
            activity,
            close,
            number,
            table: table.clone(),
        })
    }

    fn is_full(&self) -> bool {
        self.connections.len() >= self.limits.max_connections
    }

    fn is_peer_full(&self, peer: IpAddr) -> bool {
        self.peers.get(&peer).copied().unwrap_or_default() >= self.limits.max_per_peer
    }

    /// Closes the connections that rank first for eviction, of `peer` or of all.
    pub(super) fn evict(&mut self, peer: Option<IpAddr>, now: Instant) {
        let all = self.connections.iter();
        let mut idle: Vec<_> = all
            .filter(|(_, connection)| peer.is_none_or(|peer| connection.peer == peer))
            .filter_map(|(number, connection)| {
                Some((
                    connection.eviction_rank(now)?,
                    connection.progress_at(now),
                    *number,
                ))
            })
            .collect();
        let count = (self.limits.max_connections / EVICTION_DIVISOR).max(1);
        if idle.len() > count {
            idle.select_nth_unstable(count);
            idle.truncate(count);
        }
        self.close_counters.evicted += idle.len();
        for (_, _, number) in idle {
            self.close(number);
        }
    }

    /// Closes connections without progress within `idle_timeout`, then enforces `max_unread_bytes`.
    pub(super) fn sweep(&mut self, now: Instant) -> CloseCounters {
        let timeout = self.limits.idle_timeout;
        let mut expired = vec![];
        let mut unread = vec![];
        for (number, connection) in &mut self.connections {
            connection.update_progress(now);
            if connection.is_expired(now, timeout) {
                expired.push(*number);
            } else if connection.unread_bytes() > 0 {
                unread.push((connection.unread_bytes(), *number));
            }
        }
        for number in expired {
            self.close(number);
        }
        self.shed_unread(unread);
        std::mem::take(&mut self.close_counters)
    }

    /// Closes the connections with the most unread bytes until the total is within the limit.
    fn shed_unread(&mut self, mut unread: Vec<(u64, u64)>) {
        let mut total: u64 = unread.iter().map(|(bytes, _)| bytes).sum();
        if total <= self.limits.max_unread_bytes {
            return;
        }
        unread.sort_unstable();
        while total > self.limits.max_unread_bytes
            && let Some((bytes, number)) = unread.pop()
        {
            total -= bytes;
            self.close_counters.unread += 1;
            self.close(number);
        }
    }

    /// Frees the slot at once and notifies the task of the connection, which then ends.
    fn close(&mut self, number: u64) {
        if let Some(connection) = self.remove(number) {
            connection.close.notify_one();
        }
    }

    fn remove(&mut self, number: u64) -> Option<TrackedConnection> {
        let connection = self.connections.remove(&number)?;
        if let Some(count) = self.peers.get_mut(&connection.peer) {
            *count -= 1;
            if *count == 0 {
                self.peers.remove(&connection.peer);
            }
        }
        Some(connection)
    }
}

impl TrackedConnection {
    /// Whether response data wait for the client.
    fn is_waiting_for_client(&self) -> bool {
        self.activity.unread.load(Relaxed) > 0 || self.activity.is_blocked.load(Relaxed)
    }

    /// Whether the service works on a request and does not wait for its body.
    fn is_working(&self) -> bool {
        let awaiting = self.activity.awaiting.load(Relaxed);
        self.activity.working.load(Relaxed) > awaiting
    }

    fn transferred_bytes(&self) -> u64 {
        self.activity.received.load(Relaxed) + self.activity.written.load(Relaxed)
    }

    fn unread_bytes(&self) -> u64 {
        let (queued, written) = self.drained_counters;
        let queued = self.activity.queued.load(Relaxed) - queued;
        queued.saturating_sub(self.activity.written.load(Relaxed) - written)
    }

    /// A request since the last sweep is progress, too.
    fn progress_at(&self, now: Instant) -> Instant {
        if self.activity.requests.load(Relaxed) == self.seen_requests {
            self.progress_at
        } else {
            now
        }
    }

    fn update_progress(&mut self, now: Instant) {
        let (requests, bytes) = (
            self.activity.requests.load(Relaxed),
            self.transferred_bytes(),
        );
        let is_unread = self.is_waiting_for_client();
        let moves = bytes - self.seen_bytes >= MIN_PROGRESS_BYTES;
        let is_used = !is_unread && (self.is_working() || requests != self.seen_requests);
        if moves || is_used {
            self.progress_at = now;
            (self.seen_requests, self.seen_bytes) = (requests, bytes);
        }
        if !is_unread {
            let queued = self.activity.queued.load(Relaxed);
            self.drained_counters = (queued, self.activity.written.load(Relaxed));
        }
    }

    /// A connection with a request in progress does not expire: reading a body has its own timeout.
    fn is_expired(&self, now: Instant, timeout: Duration) -> bool {
        let is_served = self.activity.working.load(Relaxed) > 0 && !self.is_waiting_for_client();
        !is_served && now - self.progress_at >= timeout
    }

    /// The eviction rank, lowest first: 0 for connections without any request, 1 for idle
    /// connections, 2 for clients that neither send their body nor read the response. `None` while
    /// the service works on a request.
    fn eviction_rank(&self, now: Instant) -> Option<u8> {
        if self.activity.requests.load(Relaxed) == 0 {
            return Some(0);
        }
        if self.activity.working.load(Relaxed) == 0 && !self.is_waiting_for_client() {
            return Some(1);
        }
        let is_stalled = now - self.progress_at(now) >= STALL_GRACE;
        (is_stalled && (self.is_waiting_for_client() || !self.is_working())).then_some(2)
    }
}

/// The unit of `max_per_peer`: an IPv4 address, or an IPv6 /64, which providers assign to one
/// customer.
fn peer_group(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let network = address.to_bits() >> 64 << 64;
            Ipv6Addr::from_bits(network).into()
        }
        address @ IpAddr::V4(_) => address,
    }
}

pub(super) fn lock(table: &Mutex<ConnectionTable>) -> MutexGuard<'_, ConnectionTable> {
    table.lock().unwrap_or_else(PoisonError::into_inner)
}
