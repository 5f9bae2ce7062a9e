//! Failures under load: processes and database connections are killed, and the provider answers
//! late, twice or not at all. No notification is lost or sent twice.

use std::collections::BTreeMap;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use common::clock::Clock;
use common::jwt::{Claims, Scope};
use futures::future::join_all;
use serde_json::json;
use sqlx::{ConnectOptions as _, PgPool};

use crate::support::{SECRET, count_rows, keyring, until};
use crate::twilio::{Reply, Twilio};

const MESSAGES: usize = 120;
const CLIENTS: usize = 8;

struct ServiceProcess(Child);

impl Drop for ServiceProcess {
    /// `kill -9`.
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts a process on the port. The process may not listen yet on return.
fn start(pool: &PgPool, port: u16, args: &[String]) -> ServiceProcess {
    let mut command = Command::new(env!("CARGO_BIN_EXE_notification"));
    command
        .args(args)
        .arg(format!("--port={port}"))
        .arg(format!("--jwt-secrets={SECRET}"))
        .arg(format!(
            "--database-url={}",
            pool.connect_options().to_url_lossy()
        ))
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    ServiceProcess(command.spawn().unwrap())
}

/// Sends a message repeatedly, with the same idempotency key, until it is accepted.
async fn send_until_accepted(
    http: &reqwest::Client,
    port: u16,
    number: usize,
    accepted: &AtomicUsize,
) {
    let now = Clock::system().now().timestamp();
    let claims = Claims::new("tests", [Scope::NotifySend].into_iter().collect(), now, 600);
    let token = keyring().sign(&claims).unwrap();
    until(async || {
        let request = http.post(format!("http://127.0.0.1:{port}/notify"));
        let request = request
            .bearer_auth(&token)
            .header("idempotency-key", number.to_string());
        let body = json!({"event": "e", "message": format!("message {number:03}")});
        let answer = request
            .json(&body)
            .timeout(Duration::from_secs(3))
            .send()
            .await
            .ok()?;
        (answer.status() == 202).then_some(())
    })
    .await;
    accepted.fetch_add(1, Ordering::Relaxed);
}

/// Shortens waits after failures, and leases that are older than `age` seconds: longer than any
/// attempt takes, or less if no process is alive.
async fn shorten_waits(pool: &PgPool, age: i32) {
    let lost = "update notification.delivery
        set leased_until = leased_until - interval '1 minute'
        where status = 'sending' and leased_until < now() + make_interval(secs => 60 - $1)";
    sqlx::query(lost).bind(age).execute(pool).await.unwrap();
    let due = "update notification.delivery set due_at = now()
        where status = 'pending' and due_at > now() + interval '1 second'";
    sqlx::query(due).execute(pool).await.unwrap();
}

#[sqlx::test(migrator = "notification::MIGRATOR")]
async fn nothing_is_lost_and_nobody_is_told_twice(pool: PgPool) {
    let script: Vec<_> = (0..MESSAGES)
        .map(|n| match n % 12 {
            1 => Reply::AcceptThenFail(500),
            3 => Reply::Refuse(429, 20429),
            5 => Reply::AcceptThenBreak,
            7 => Reply::AcceptThenSilence,
            9 => Reply::Fail(503),
            _ => Reply::Accept,
        })
        .collect();
    let twilio = Twilio::start(&Clock::system(), &script).await;
    let mut args = twilio.args();
    args.extend([
        "--sms-timeout=1".into(),
        "--channel-concurrency=sms=4".into(),
    ]);
    let port = bench::free_port();
    let http = chassis::http_client::build("tests").unwrap();
    let accepted = AtomicUsize::new(0);
    let load = join_all((0..CLIENTS).map(async |client| {
        for number in (client..MESSAGES).step_by(CLIENTS) {
            send_until_accepted(&http, port, number, &accepted).await;
        }
    }));
    let faults = async {
        let mut process = start(&pool, port, &args);
        for round in 1..=6 {
            let enough = MESSAGES * round / 8;
            until(async || (accepted.load(Ordering::Relaxed) >= enough).then_some(())).await;
            if round % 2 == 0 {
                let cut = "select pg_terminate_backend(pid) from pg_stat_activity
                    where datname = current_database() and application_name = 'notification'";
                sqlx::query(cut).execute(&pool).await.unwrap();
            } else {
                drop(process);
                shorten_waits(&pool, -60).await;
                process = start(&pool, port, &args);
            }
        }
        process
    };
    let (_, process) = tokio::join!(load, faults);
    assert_eq!(
        count_rows(&pool, "notification").await,
        i64::try_from(MESSAGES).unwrap()
    );
    until(async || {
        let open = "select count(*) from notification.delivery where status <> 'sent'";
        let open: i64 = sqlx::query_scalar(open).fetch_one(&pool).await.unwrap();
        shorten_waits(&pool, 6).await;
        (open == 0).then_some(())
    })
    .await;
    drop(process);
    let mut texts = BTreeMap::<String, usize>::new();
    for message in twilio.messages() {
        let text = message["body"].as_str().unwrap().to_owned();
        *texts.entry(text).or_default() += 1;
    }
    let expected = (0..MESSAGES).map(|number| (format!("message {number:03}"), 1));
    assert_eq!(texts, expected.collect());
}
