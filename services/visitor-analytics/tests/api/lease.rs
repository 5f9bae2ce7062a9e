//! The recorder's lease: a process that records continuously holds it until another process
//! records.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use futures::future::join_all;
use serde_json::{Value, json};
use sqlx::PgPool;

use crate::support::{TestSystem, noon, start, start_replica, until, visit};

/// A visit the given number of seconds before noon.
fn visit_before_noon(seconds: i64, visitor: &str) -> Value {
    let moment = noon() - TimeDelta::seconds(seconds);
    visit(&json!({"timestamp": moment, "visitor_id": visitor}))
}

/// Records until the process holds the lease.
async fn start_with_lease(pool: PgPool) -> TestSystem {
    let system = start(pool).await;
    for second in 0..25 {
        system.record(&visit_before_noon(second, "early")).await;
    }
    assert!(is_leased(&system.pool).await);
    system
}

async fn is_leased(pool: &PgPool) -> bool {
    let statement = "
        select count(*) > 0 from pg_locks
        where locktype = 'advisory' and mode = 'ExclusiveLock' and granted and classid = 32379
          and database = (select oid from pg_database where datname = current_database())";
    sqlx::query_scalar(statement).fetch_one(pool).await.unwrap()
}

/// Sessions by visitor: start, end and number of visits.
type Sessions = Vec<(String, DateTime<Utc>, DateTime<Utc>, i32)>;

async fn sessions(pool: &PgPool) -> Sessions {
    let statement = "
        select visitor_id, started_at, last_seen_at, visits from visitor_analytics.session
        where visitor_id <> 'early' order by visitor_id, started_at";
    sqlx::query_as(statement).fetch_all(pool).await.unwrap()
}

/// Naive sessionization: a gap of 30 minutes ends a session.
fn naive_sessions(visits: &[(i64, String)]) -> Sessions {
    let mut moments: BTreeMap<&str, Vec<DateTime<Utc>>> = BTreeMap::new();
    for (seconds, visitor) in visits {
        let moment = noon() - TimeDelta::seconds(*seconds);
        moments.entry(visitor).or_default().push(moment);
    }
    let mut sessions = Sessions::new();
    for (visitor, mut moments) in moments {
        moments.sort();
        let mut last: Option<DateTime<Utc>> = None;
        for moment in moments {
            if last.is_some_and(|last| moment - last < TimeDelta::minutes(30)) {
                let session = sessions.last_mut().unwrap();
                (session.2, session.3) = (moment, session.3 + 1);
            } else {
                sessions.push((visitor.to_owned(), moment, moment, 1));
            }
            last = Some(moment);
        }
    }
    sessions
}

/// Visits of a few visitors over four hours, in pseudorandom but repeatable order.
fn scattered_visits(count: u64) -> Vec<(i64, String)> {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut below = |limit: u64| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 11) % limit
    };
    let visits = (0..count).map(|_| {
        let seconds = i64::try_from(below(14_400)).unwrap();
        (seconds, format!("v-{}", below(40)))
    });
    visits.collect()
}

#[sqlx::test(migrations = false)]
async fn who_records_alone_keeps_to_the_definition(pool: PgPool) {
    let system = start_with_lease(pool).await;
    let visits = scattered_visits(400);
    for some in visits.chunks(20) {
        let sent = some
            .iter()
            .map(|(seconds, visitor)| visit_before_noon(*seconds, visitor));
        let sent: Vec<_> = sent.collect();
        join_all(sent.iter().map(|visit| system.record(visit))).await;
    }
    assert!(is_leased(&system.pool).await);
    assert_eq!(sessions(&system.pool).await, naive_sessions(&visits));
}

#[sqlx::test(migrations = false)]
async fn another_replica_gets_its_turn(pool: PgPool) {
    let one = start_with_lease(pool.clone()).await;
    let other = start_replica(pool, one.geo.clone(), one.notification.clone()).await;
    let visits = scattered_visits(200);
    for some in visits.chunks(20) {
        let sent: Vec<_> = some.iter().map(|(s, v)| visit_before_noon(*s, v)).collect();
        let replica = |n: usize| if n.is_multiple_of(2) { &one } else { &other };
        join_all(sent.iter().enumerate().map(|(n, v)| replica(n).record(v))).await;
    }
    assert_eq!(sessions(&one.pool).await, naive_sessions(&visits));
}

#[sqlx::test(migrations = false)]
async fn an_erased_visitor_is_not_remembered(pool: PgPool) {
    let system = start_with_lease(pool).await;
    let first = system.record(&visit_before_noon(600, "v-1")).await;
    let erased = system.delete("/visitors/v-1").send().await.unwrap();
    assert!(erased.status().is_success());
    let next = system.record(&visit_before_noon(300, "v-1")).await;
    assert_ne!(next["session_id"], first["session_id"]);
    assert_eq!(next["is_new_session"], true);
    let moment = noon() - TimeDelta::seconds(300);
    let stored = sessions(&system.pool).await;
    assert_eq!(stored, [("v-1".to_owned(), moment, moment, 1)]);
}

#[sqlx::test(migrations = false)]
async fn a_copy_is_found_by_who_records_alone(pool: PgPool) {
    let system = start_with_lease(pool).await;
    let mut sent = visit_before_noon(600, "v-1");
    sent["id"] = json!("019a9a3c-0000-7000-8000-000000000001");
    let first = system.record(&sent).await;
    let again = system.record(&sent).await;
    assert_eq!(again["status"], "duplicate");
    assert_eq!(again["session_id"], first["session_id"]);
    // With another visitor id, the duplicate is only found when the visit is written.
    let mut renamed = sent.clone();
    renamed["visitor_id"] = json!("v-2");
    let again = system.record(&renamed).await;
    assert_eq!(again["status"], "duplicate");
    assert_eq!(again["session_id"], first["session_id"]);
    assert_eq!(system.count("session").await, 2);
    assert_eq!(system.count("visit_copy where copies = 2").await, 1);
}

#[sqlx::test(migrations = false)]
async fn a_lost_connection_loses_the_lease_and_nothing_else(pool: PgPool) {
    let system = start_with_lease(pool).await;
    system.record(&visit_before_noon(900, "v-1")).await;
    let kill = "select count(pg_terminate_backend(pid)) from pg_locks
        where locktype = 'advisory' and classid = 32379 and granted
          and database = (select oid from pg_database where datname = current_database())";
    let killed: i64 = sqlx::query_scalar(kill)
        .fetch_one(&system.pool)
        .await
        .unwrap();
    assert_eq!(killed, 1);
    let sent = visit_before_noon(300, "v-1");
    until("the visit is recorded", async || {
        let answered = system.post(&sent).send().await.unwrap();
        (answered.status() == 201).then_some(())
    })
    .await;
    let visits = [(900, "v-1".to_owned()), (300, "v-1".to_owned())];
    assert_eq!(sessions(&system.pool).await, naive_sessions(&visits));
}

#[sqlx::test(migrations = false)]
async fn a_session_that_is_found_out_stays_a_bots(pool: PgPool) {
    let system = start_with_lease(pool).await;
    // A different page every ten seconds.
    let step = |n: i64| {
        let mut sent = visit_before_noon(900 - 10 * n, "robot");
        sent["url"] = json!(format!("https://shop.example/{n}"));
        sent
    };
    for n in 0..16 {
        system.record(&step(n)).await;
    }
    until("the session is found out", async || {
        let statement = "select is_bot from visitor_analytics.session where visitor_id = 'robot'";
        let is_bot = sqlx::query_scalar::<_, bool>(statement);
        let is_bot = is_bot.fetch_one(&system.pool).await;
        is_bot.unwrap().then_some(())
    })
    .await;
    assert!(is_leased(&system.pool).await);
    system.record(&step(16)).await;
    let statement =
        "select visits, is_bot from visitor_analytics.session where visitor_id = 'robot'";
    let stored: (i32, bool) = sqlx::query_as(statement)
        .fetch_one(&system.pool)
        .await
        .unwrap();
    assert_eq!(stored, (17, true));
}

/// A process that freezes within a transaction (SIGSTOP, a sleeping laptop, a dropped network)
/// holds its locks until PostgreSQL terminates its connection.
#[sqlx::test(migrations = false)]
async fn a_replica_that_is_frozen_in_a_transaction_is_cut_off(pool: PgPool) {
    let system = start(pool.clone()).await;
    system.record(&visit_before_noon(60, "somebody")).await;
    for is_alone in [false, true] {
        let replica = chassis::database::request_pool((*pool.connect_options()).clone(), 1);
        let mut frozen = replica.begin().await.unwrap();
        let lock = if is_alone {
            // The lease.
            "select pg_advisory_xact_lock(32379, 0)"
        } else {
            // The locks of all visitors, and the shared lease.
            "select pg_advisory_xact_lock_shared(32379, 0);
             select pg_advisory_xact_lock(32378, bucket) from generate_series(0, 4095) bucket"
        };
        sqlx::raw_sql(lock).execute(&mut *frozen).await.unwrap();
        until("the other replica records", async || {
            let sent = system.post(&visit_before_noon(30, "somebody")).send().await;
            (sent.unwrap().status() == 201).then_some(())
        })
        .await;
        let statement = sqlx::query("select 1").execute(&mut *frozen).await;
        assert!(statement.is_err(), "the frozen transaction is over");
    }
}
