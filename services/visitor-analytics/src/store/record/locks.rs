//! One writer at a time for each visitor, whatever the replica.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use sqlx::{AssertSqlSafe, PgPool, Postgres, Transaction};

use crate::store::StoreError;
use crate::store::session::VisitorKey;

/// Visitors share this many locks: one each would fill PostgreSQL's lock table, and with few, two
/// transactions always wait for each other.
const LOCKS: u64 = 4_096;
/// The first half of the locks' names, so that they meet no others.
const LOCK_CLASS: i32 = 0x7e7a;

/// Begins a transaction that keeps other writers away from these visitors' sessions until it ends.
/// Locks are taken in order, so that two writers never wait for each other.
pub(in crate::store) async fn begin(
    pool: &PgPool,
    keys: &[VisitorKey],
) -> Result<Transaction<'static, Postgres>, StoreError> {
    let locks: BTreeSet<i32> = keys.iter().map(lock_of).collect();
    // Both in one message; the statements that follow see what the last holder has committed.
    let mut statement =
        format!("begin; select pg_advisory_xact_lock({LOCK_CLASS}, lock) from unnest('{{");
    for (index, lock) in locks.iter().enumerate() {
        let comma = if index > 0 { "," } else { "" };
        // Writing to a string does not fail.
        let _ = write!(statement, "{comma}{lock}");
    }
    statement.push_str("}'::int[]) lock");
    // Only numbers are put into the text.
    Ok(pool.begin_with(AssertSqlSafe(statement)).await?)
}

/// The visitor's lock, the same on every replica (FNV-1a).
fn lock_of((site, visitor): &VisitorKey) -> i32 {
    let bytes = site.to_le_bytes().into_iter().chain(visitor.bytes());
    let hash = bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    i32::try_from(hash % LOCKS).unwrap_or_default()
}
