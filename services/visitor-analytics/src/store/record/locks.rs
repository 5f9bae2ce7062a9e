//! Advisory locks: one writer at a time for each visitor, across all replicas.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use sqlx::AssertSqlSafe;

use crate::store::session::VisitorKey;

/// Visitors share this many locks. One lock per visitor would fill PostgreSQL's lock table; with
/// few locks, concurrent transactions would usually wait for each other.
const VISITOR_LOCK_COUNT: u64 = 4_096;
/// The first key of the advisory locks, distinct from those of other locks.
const VISITOR_LOCK_CLASS: i32 = 0x7e7a;
/// Shared by all writers of sessions, or held exclusively by one process.
pub(super) const WRITER_LEASE_LOCK: (i32, i32) = (0x7e7b, 0);

/// The statement that begins a transaction and locks the sessions of these visitors until its end.
/// Locks are taken in a fixed order, so that concurrent writers do not deadlock.
pub(in crate::store) fn begin_locked(keys: &[VisitorKey]) -> AssertSqlSafe<String> {
    let locks: BTreeSet<i32> = keys.iter().map(visitor_lock).collect();
    // One message for all locks. The statements that follow see what the previous holder committed.
    let mut statement = format!(
        "begin; select pg_advisory_xact_lock_shared({}, {}); \
         select pg_advisory_xact_lock({VISITOR_LOCK_CLASS}, lock) from unnest('{{",
        WRITER_LEASE_LOCK.0, WRITER_LEASE_LOCK.1
    );
    for (index, lock) in locks.iter().enumerate() {
        let comma = if index > 0 { "," } else { "" };
        // Writing to a string does not fail.
        let _ = write!(statement, "{comma}{lock}");
    }
    statement.push_str("}'::int[]) lock");
    // The text contains numbers only.
    AssertSqlSafe(statement)
}

/// The lock of a visitor, the same on every replica.
fn visitor_lock(key: &VisitorKey) -> i32 {
    i32::try_from(fnv_hash(key) % VISITOR_LOCK_COUNT).unwrap_or_default()
}

/// FNV-1a hash of a visitor.
pub(super) fn fnv_hash((site, visitor): &VisitorKey) -> u64 {
    let bytes = site.to_le_bytes().into_iter().chain(visitor.bytes());
    bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}
