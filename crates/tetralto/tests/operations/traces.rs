//! Use cases are traced below the span of their request, without personal data.

use std::fmt::{Debug, Write as _};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use common::clock::Clock;
use serde_json::json;
use sqlx::PgPool;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id};
use tracing::subscriber::DefaultGuard;
use tracing::{Level, Subscriber};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};
use tracing_subscriber::registry::LookupSpan;

use crate::running::{database_url, start_geo, start_notification, start_visitor_analytics};

const USER_AGENT: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:144.0) Gecko/20100101 Firefox/144.0";

/// The spans of this thread, each with its path from the root and the values of its fields.
#[derive(Clone, Default)]
struct SpanRecorder(Arc<Mutex<Vec<(String, String)>>>);

struct FieldText(String);

impl Visit for FieldText {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let _ = write!(self.0, "{field}={value:?} ");
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for SpanRecorder {
    fn on_new_span(&self, span: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let mut fields = FieldText(String::new());
        span.record(&mut fields);
        let scope = context.span_scope(id).unwrap().from_root();
        let path: Vec<_> = scope.map(|span| span.name()).collect();
        self.0.lock().unwrap().push((path.join("/"), fields.0));
    }
}

impl SpanRecorder {
    /// Records until the guard is dropped.
    fn start() -> (Self, DefaultGuard) {
        let spans = Self::default();
        let ours = ["chassis", "geo", "visitor_analytics", "notification"];
        let ours = Targets::new().with_targets(ours.map(|target| (target, Level::DEBUG)));
        let subscriber = tracing_subscriber::registry().with(spans.clone().with_filter(ours));
        (spans, tracing::subscriber::set_default(subscriber))
    }

    fn has(&self, path: &str) -> bool {
        let spans = self.0.lock().unwrap();
        spans.iter().any(|(seen, _)| seen == path)
    }

    async fn wait_for(&self, path: &str) {
        for _ in 0..3_000 {
            if self.has(path) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("{path} is not among {:?}", self.0.lock().unwrap());
    }

    fn assert_without(&self, secrets: &[&str]) {
        for (name, fields) in &*self.0.lock().unwrap() {
            for secret in secrets {
                assert!(!fields.contains(secret), "{name}: {fields}");
            }
        }
    }
}

#[sqlx::test(migrations = false)]
async fn a_visit_is_traced_without_personal_data(pool: PgPool) {
    let (spans, _guard) = SpanRecorder::start();
    let (database, clock) = (database_url(&pool), Clock::system());
    let geo = start_geo(Some(&database), &clock).await;
    let analytics = start_visitor_analytics(&database, &geo, &clock).await;
    let visit = json!({"url": "https://shop.example/pricing?email=ada%40example.org",
        "ip": "81.2.69.142", "user_agent": USER_AGENT, "referrer": "https://news.example/secret"});
    let sent = analytics.post("/visits").json(&visit).send().await.unwrap();
    assert_eq!(sent.status(), 201);
    for path in [
        "request/record_visits",
        "service/worker/commit_visits",
        "request/locate_addresses",
    ] {
        spans.wait_for(path).await;
    }
    spans.assert_without(&["81.2.69", "Firefox", "ada", "pricing", "secret"]);
}

#[sqlx::test(migrations = false)]
async fn a_notification_is_traced_without_its_recipient(pool: PgPool) {
    let (spans, _guard) = SpanRecorder::start();
    let (database, clock) = (database_url(&pool), Clock::system());
    let notification = start_notification(&database, &clock).await;
    let message = json!({"event": "order.placed", "message": "Ada bought a lamp", "to": ["log"],
        "data": {"phone": "+15550100067", "email": "ada@example.org"}});
    let sent = notification
        .post("/notify")
        .json(&message)
        .send()
        .await
        .unwrap();
    assert_eq!(sent.status(), 202);
    for path in [
        "request/accept_notifications",
        "service/worker/commit_notifications",
    ] {
        spans.wait_for(path).await;
    }
    spans.assert_without(&["5550100067", "ada@", "Ada", "lamp"]);
}
