//! One writer at a time for each visitor, whatever the replica.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use sqlx::AssertSqlSafe;

use crate::store::session::VisitorKey;

/// Visitors share this many locks: one each would fill PostgreSQL's lock table, and with few, two
/// transactions always wait for each other.
const VISITOR_LOCK_COUNT: u64 = 4_096;
/// The first half of the locks' names, so that they meet no others.
const VISITOR_LOCK_CLASS: i32 = 0x7e7a;
/// The lock that whoever changes sessions shares, or one process has alone.
pub(super) const WRITER_LEASE_LOCK: (i32, i32) = (0x7e7b, 0);

/// What begins a transaction that keeps other writers away from these visitors' sessions until it
/// ends. Locks are taken in order, so that two writers never wait for each other.
pub(in crate::store) fn begin(keys: &[VisitorKey]) -> AssertSqlSafe<String> {
    let locks: BTreeSet<i32> = keys.iter().map(lock_of).collect();
    // All in one message; the statements that follow see what the last holder has committed.
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
    // Only numbers are put into the text.
    AssertSqlSafe(statement)
}

/// The visitor's lock, the same on every replica.
fn lock_of(key: &VisitorKey) -> i32 {
    i32::try_from(hash(key) % VISITOR_LOCK_COUNT).unwrap_or_default()
}

/// A visitor's number (FNV-1a).
pub(super) fn hash((site, visitor): &VisitorKey) -> u64 {
    let bytes = site.to_le_bytes().into_iter().chain(visitor.bytes());
    bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}
