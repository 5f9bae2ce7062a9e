//! Measures whether a long queue slows claims down. Runs the statements without the service.

use std::time::{Duration, Instant};

use bench::{CpuTime, LoadResult, parent_pid};
use common::clock::Clock;
use notification::domain::attempt::{
    ClaimedDelivery, CompletedAttempt, NextState, SendOutcome, SendResult, UnknownOutcomePolicy,
};
use notification::domain::channel_address::DeliveryChannel;
use notification::store::queue::{self, AttemptOutcome};
use sqlx::PgPool;

/// Length of the queue, and whether deliveries are due in the order of their creation, which is the
/// usual case unless many are held or retried.
const QUEUES: [(i32, bool); 3] = [(20_000, true), (1_000_000, true), (1_000_000, false)];
/// Claims per measurement, including the recording of outcomes.
const CLAIMS: usize = 500;
/// Deliveries per claim.
const DELIVERIES_PER_CLAIM: i64 = 32;

const FILL_QUEUE: &str = "
    with new as (
        insert into notification.notification (id, event, data, priority, status, created_at)
        select ('01900000-0000-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid, 'bench', '{}',
            'normal', 'queued', now() - interval '1 hour' + n * interval '1 ms'
        from generate_series(1, $1) n returning id, created_at)
    insert into notification.delivery
        (id, notification_id, channel, recipient, body, due_at, created_at)
    select id, id, 'sms', '+15550100067', 'New visitor from London',
        case when $2 then created_at else now() - random() * interval '1 hour' end, created_at
    from new";

/// Prints the duration of claims from a short queue and from long ones.
pub async fn measure(database: &str) {
    let pool = PgPool::connect(database).await.unwrap();
    let backend = sqlx::query_scalar::<_, i32>("select pg_backend_pid()");
    let backend = backend.fetch_one(&pool).await.unwrap();
    let postgres = parent_pid(backend.cast_unsigned()).unwrap();
    println!(
        "claim of {DELIVERIES_PER_CLAIM} and record outcomes     p50 ms   p95 ms   CPU µs of PostgreSQL for both"
    );
    let mut medians = vec![];
    for (queued, in_order) in QUEUES {
        let emptied = "truncate notification.notification, notification.delivery,
            notification.attempt";
        sqlx::raw_sql(emptied).execute(&pool).await.unwrap();
        let fill = sqlx::query(FILL_QUEUE).bind(queued).bind(in_order);
        fill.execute(&pool).await.unwrap();
        let settled = "vacuum analyze notification.delivery; checkpoint";
        for statement in settled.split("; ") {
            sqlx::raw_sql(sqlx::AssertSqlSafe(statement))
                .execute(&pool)
                .await
                .unwrap();
        }
        let lane = queue::key_lookup_pool(&pool);
        run_claims(&lane, CLAIMS / 10).await;
        let before = CpuTime::of_process_tree(postgres);
        let outcome = run_claims(&lane, CLAIMS).await;
        let used = CpuTime::of_process_tree(postgres).since(before).total();
        println!(
            "{:<33} {:>8.2} {:>8.2} {:>8.0}",
            format!(
                "{queued} queued{}",
                if in_order { "" } else { ", unordered" }
            ),
            outcome.latency_ms(500),
            outcome.latency_ms(950),
            used.as_secs_f64() * 1e6 / CLAIMS as f64
        );
        medians.push(outcome.latency_ms(500));
    }
    println!(
        "long queue relative to short queue: {:.2}",
        medians[1] / medians[0]
    );
}

async fn run_claims(lane: &PgPool, claims: usize) -> LoadResult {
    let clock = Clock::system();
    let mut times = vec![];
    for _ in 0..claims {
        let started = Instant::now();
        let claimed = queue::claim(
            lane,
            DeliveryChannel::Sms,
            clock.now(),
            DELIVERIES_PER_CLAIM,
        )
        .await;
        times.push(u32::try_from(started.elapsed().as_micros()).unwrap());
        let sent: Vec<_> = claimed.unwrap().into_iter().map(sent_outcome).collect();
        assert_eq!(sent.len(), usize::try_from(DELIVERIES_PER_CLAIM).unwrap());
        queue::record_outcomes(lane, &sent, clock.now())
            .await
            .unwrap();
    }
    LoadResult::new(claims, Duration::ZERO, times)
}

fn sent_outcome(delivery: ClaimedDelivery) -> AttemptOutcome {
    let attempted = CompletedAttempt {
        started_at: delivery.created_at,
        latency_ms: 1,
        provider: "bench",
        unknown_outcome_policy: UnknownOutcomePolicy::GiveUp,
        result: SendResult::new(SendOutcome::Sent, None),
        delivery,
    };
    AttemptOutcome {
        attempt: attempted,
        next_state: NextState::Sent,
    }
}
