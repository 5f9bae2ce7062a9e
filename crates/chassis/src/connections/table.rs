//! The connections that are open: who may come in, and who has to go.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use super::activity::ConnectionActivity;
use super::{ConnectionLimits, lock};

/// The least number of bytes of bodies that a client sends or reads within `idle_timeout`. A
/// connection with fewer makes no progress.
const MIN_PROGRESS_BYTES: u64 = 16_384;
/// When room is wanted, a client that neither sends nor reads is given up after this time.
const STALL_GRACE: Duration = Duration::from_secs(2);
/// Of all places, the part that is emptied at once when none is left: to look for the idle ones
/// costs as much for many as for one.
const EVICTION_DIVISOR: usize = 64;

/// Every connection that is open.
#[derive(Debug)]
pub(super) struct ConnectionTable {
    limits: ConnectionLimits,
    connections: HashMap<u64, TrackedConnection>,
    peers: HashMap<IpAddr, usize>,
    next: u64,
    closed: CloseCounters,
}

/// Connections that were closed, or not let in, for the sake of others.
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
    /// `queued` and `written` when last nothing was left to be read.
    drained: (u64, u64),
}

/// A connection's place, which is free again when this is dropped.
#[derive(Debug)]
pub(super) struct ConnectionSlot {
    pub activity: Arc<ConnectionActivity>,
    close: Arc<Notify>,
    number: u64,
    table: Arc<Mutex<ConnectionTable>>,
}

impl ConnectionSlot {
    /// Waits until the connection has to go.
    pub(super) async fn closed(&self) {
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
            next: 0,
            closed: CloseCounters::default(),
        }
    }

    /// A place for a connection from `address`, if need be that of an idle one; `None` where all
    /// connections are at work.
    pub(super) fn admit(
        &mut self,
        table: &Arc<Mutex<Self>>,
        address: IpAddr,
        now: Instant,
    ) -> Option<ConnectionSlot> {
        let peer = peer(address);
        if self.is_peer_full(peer) {
            self.evict(Some(peer), now);
        } else if self.is_full() {
            self.evict(None, now);
        }
        if self.is_peer_full(peer) || self.is_full() {
            self.closed.refused += 1;
            return None;
        }
        let (number, activity, close) = (self.next, Arc::default(), Arc::default());
        self.next += 1;
        *self.peers.entry(peer).or_default() += 1;
        let connection = TrackedConnection {
            peer,
            activity: Arc::clone(&activity),
            close: Arc::clone(&close),
            progress_at: now,
            seen_requests: 0,
            seen_bytes: 0,
            drained: (0, 0),
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

    /// Closes connections that nobody would miss most, of `peer` or of anybody.
    pub(super) fn evict(&mut self, peer: Option<IpAddr>, now: Instant) {
        let all = self.connections.iter();
        let mut idle: Vec<_> = all
            .filter(|(_, connection)| peer.is_none_or(|peer| connection.peer == peer))
            .filter_map(|(number, connection)| {
                Some((connection.rank(now)?, connection.progress_at(now), *number))
            })
            .collect();
        let count = (self.limits.max_connections / EVICTION_DIVISOR).max(1);
        if idle.len() > count {
            idle.select_nth_unstable(count);
            idle.truncate(count);
        }
        self.closed.evicted += idle.len();
        for (_, _, number) in idle {
            self.close(number);
        }
    }

    /// Closes the connections on which nothing has happened for too long.
    pub(super) fn sweep(&mut self, now: Instant) -> CloseCounters {
        let timeout = self.limits.idle_timeout;
        let mut expired = vec![];
        let mut unread = vec![];
        for (number, connection) in &mut self.connections {
            connection.look(now);
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
        std::mem::take(&mut self.closed)
    }

    /// Closes the connections with the most unread bytes while all together hold too many.
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
            self.closed.unread += 1;
            self.close(number);
        }
    }

    /// The place is free at once; the connection ends when its task hears of it.
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
    /// Whether something is to be read that the client does not read at present.
    fn is_unread(&self) -> bool {
        self.activity.unread.load(Relaxed) > 0 || self.activity.is_blocked.load(Relaxed)
    }

    /// Whether we work on a request, and do not wait for its body.
    fn is_working(&self) -> bool {
        let awaiting = self.activity.awaiting.load(Relaxed);
        self.activity.working.load(Relaxed) > awaiting
    }

    fn bytes(&self) -> u64 {
        self.activity.received.load(Relaxed) + self.activity.written.load(Relaxed)
    }

    fn unread_bytes(&self) -> u64 {
        let (queued, written) = self.drained;
        let queued = self.activity.queued.load(Relaxed) - queued;
        queued.saturating_sub(self.activity.written.load(Relaxed) - written)
    }

    /// A request since the last look is progress, too.
    fn progress_at(&self, now: Instant) -> Instant {
        if self.activity.requests.load(Relaxed) == self.seen_requests {
            self.progress_at
        } else {
            now
        }
    }

    fn look(&mut self, now: Instant) {
        let (requests, bytes) = (self.activity.requests.load(Relaxed), self.bytes());
        let is_unread = self.is_unread();
        let moves = bytes - self.seen_bytes >= MIN_PROGRESS_BYTES;
        let is_used = !is_unread && (self.is_working() || requests != self.seen_requests);
        if moves || is_used {
            self.progress_at = now;
            (self.seen_requests, self.seen_bytes) = (requests, bytes);
        }
        if !is_unread {
            let queued = self.activity.queued.load(Relaxed);
            self.drained = (queued, self.activity.written.load(Relaxed));
        }
    }

    /// Whoever reads a body has a time limit of its own for it.
    fn is_expired(&self, now: Instant, timeout: Duration) -> bool {
        let is_served = self.activity.working.load(Relaxed) > 0 && !self.is_unread();
        !is_served && now - self.progress_at >= timeout
    }

    /// How soon it may go where room is wanted, the lowest first: those that never made a request,
    /// then idle ones, then those whose client neither sends its body nor reads its answer. `None`
    /// while we work on a request.
    fn rank(&self, now: Instant) -> Option<u8> {
        if self.activity.requests.load(Relaxed) == 0 {
            return Some(0);
        }
        if self.activity.working.load(Relaxed) == 0 && !self.is_unread() {
            return Some(1);
        }
        let is_stalled = now - self.progress_at(now) >= STALL_GRACE;
        (is_stalled && (self.is_unread() || !self.is_working())).then_some(2)
    }
}

/// Who shares a bound: an IPv4 address, or an IPv6 /64, which is what a customer is given.
fn peer(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let network = address.to_bits() >> 64 << 64;
            Ipv6Addr::from_bits(network).into()
        }
        address @ IpAddr::V4(_) => address,
    }
}
