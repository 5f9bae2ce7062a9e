//! Group commit: concurrent requests are committed together and answered separately.

use chassis::batch::SubmitError;
use futures::FutureExt as _;
use futures::future::join_all;
use notification::app::intake::{AcceptError, Intake};
use notification::store::accept;
use notification::workers::intake_writer::IntakeWriter;
use serde_json::{Value, json};
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;

use crate::support::{Service, clock, count_rows, until};

fn notify_body(message: &str) -> Value {
    json!({"event": "e", "message": message, "to": ["log"]})
}

/// Blocks all commits until the transaction is dropped.
async fn block_commits(pool: &PgPool) -> sqlx::Transaction<'static, sqlx::Postgres> {
    let mut blocker = pool.begin().await.unwrap();
    sqlx::query("lock table notification.notification in access exclusive mode")
        .execute(&mut *blocker)
        .await
        .unwrap();
    blocker
}

/// Waits until a transaction waits for the lock.
async fn wait_for_lock(pool: &PgPool) {
    let waiting = "select exists(select from pg_locks where not granted and database =
        (select oid from pg_database where datname = current_database()))";
    let waits = async || sqlx::query_scalar::<_, bool>(waiting).fetch_one(pool).await;
    until(async || waits().await.unwrap().then_some(())).await;
}

#[sqlx::test(migrator = "notification::MIGRATOR")]
async fn each_of_many_at_once_is_answered_for_itself(pool: PgPool) {
    let service = Service::start(&pool).await;
    let texts: Vec<_> = (0..40).map(|n| format!("number {n}")).collect();
    let answers = join_all(texts.iter().map(|text| service.notify(notify_body(text)))).await;
    for (text, (status, answer)) in texts.iter().zip(answers) {
        assert_eq!(status, 202, "{answer}");
        assert_eq!(
            service.read_notification(&answer["id"]).await["message"],
            *text
        );
    }
    assert_eq!(count_rows(&pool, "notification").await, 40);
    assert_eq!(count_rows(&pool, "delivery").await, 40);
}

#[sqlx::test(migrator = "notification::MIGRATOR")]
async fn one_that_the_database_refuses_does_not_cost_the_others(pool: PgPool) {
    let poison = "alter table notification.notification add check (message <> 'poison')";
    sqlx::query(poison).execute(&pool).await.unwrap();
    let service = Service::start(&pool).await;
    let rule = json!({"name": "Counted", "event": "counted", "recipients": ["log"],
        "templates": [{"text": "seen"}], "throttle": {"limit": 3, "seconds": 60}});
    service.create("/rules", rule).await;
    let blocker = block_commits(&pool).await;
    let all = async {
        let message = |n| {
            if n == 5 {
                "poison".into()
            } else {
                format!("{n}")
            }
        };
        let messages =
            join_all((0..12).map(async |n| service.notify(notify_body(&message(n))).await));
        let counted = (0..3).map(async |_| service.notify(json!({"event": "counted"})).await);
        tokio::join!(messages, join_all(counted))
    };
    let release = async {
        wait_for_lock(&pool).await;
        blocker.rollback().await.unwrap();
    };
    let ((messages, counted), ()) = tokio::join!(all, release);
    for (n, (status, answer)) in messages.iter().enumerate() {
        assert_eq!(*status, if n == 5 { 500 } else { 202 }, "{n}: {answer}");
    }
    // The failed transaction is not counted.
    for (status, answer) in &counted {
        assert_eq!(
            (*status, &answer["status"]),
            (202, &json!("queued")),
            "{answer}"
        );
    }
    assert_eq!(count_rows(&pool, "notification").await, 14);
}

#[sqlx::test(migrator = "notification::MIGRATOR")]
async fn more_than_can_wait_is_refused_at_once(pool: PgPool) {
    const MEGABYTE: usize = 1 << 20;
    let (accepter, receiver) = Intake::new();
    let writer = IntakeWriter {
        pool: accept::key_lookup_pool(&pool),
        clock: clock(),
        receiver,
    };
    let mut first = Box::pin(accepter.accept(vec![], 7 * MEGABYTE));
    assert!((&mut first).now_or_never().is_none());
    let refused = accepter.accept(vec![], MEGABYTE).await;
    assert!(matches!(
        refused,
        Err(AcceptError::Submit(SubmitError::Full))
    ));
    let stop = CancellationToken::new();
    let writing = tokio::spawn(writer.run(stop.clone()));
    assert!(first.await.is_ok());
    assert!(accepter.accept(vec![], MEGABYTE).await.is_ok());
    stop.cancel();
    writing.await.unwrap();
    let refused = accepter.accept(vec![], 1).await;
    assert!(matches!(
        refused,
        Err(AcceptError::Submit(SubmitError::Stopping))
    ));
}
