//! A stub of Twilio that accepts and stores every message.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::extract::{Form, State};
use axum::http::StatusCode;
use axum::routing::post;
use axum::{Json, Router};
use common::clock::Clock;
use serde_json::{Value, json};

/// The time before and after a message is accepted.
const LATENCY: Duration = Duration::from_millis(100);

/// An accepted message: recipient and text.
pub type Message = (String, String);

#[derive(Clone, Default)]
pub struct TwilioStub {
    pub url: String,
    /// Messages with the time at which they were accepted (RFC 2822).
    messages: Arc<Mutex<Vec<(Message, String)>>>,
}

impl TwilioStub {
    pub async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let twilio = Self {
            url: format!("http://{}", listener.local_addr().unwrap()),
            ..Self::default()
        };
        let path = "/2010-04-01/Accounts/{account}/Messages.json";
        let router = Router::new()
            .route(path, post(accept_message).get(list_messages))
            .with_state(twilio.clone());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        twilio
    }

    pub fn messages(&self) -> Vec<Message> {
        let messages = self.messages.lock().unwrap();
        messages
            .iter()
            .map(|(message, _)| message.clone())
            .collect()
    }

    /// Settings that make the system send text messages to this stub.
    pub fn settings(&self) -> Vec<(&'static str, String)> {
        vec![
            ("TWILIO_BASE_URL", self.url.clone()),
            ("TWILIO_ACCOUNT_SID", format!("AC{}", "0".repeat(32))),
            ("SMS_API_KEY", "the-auth-token-of-the-test".into()),
            ("SMS_FROM", "+15550100001".into()),
            ("NOTIFICATION_PHONE_NUMBER", "+15550100002".into()),
        ]
    }
}

async fn accept_message(
    State(twilio): State<TwilioStub>,
    Form(form): Form<Vec<(String, String)>>,
) -> (StatusCode, Json<Value>) {
    let field = |name: &str| form.iter().find(|(n, _)| n == name).unwrap().1.clone();
    // A process that is killed leaves messages that were accepted and messages that were not.
    tokio::time::sleep(LATENCY).await;
    let created = {
        let mut messages = twilio.messages.lock().unwrap();
        let taken = (field("To"), field("Body"));
        messages.push((taken, Clock::system().now().to_rfc2822()));
        message_json(messages.len(), &messages[messages.len() - 1])
    };
    tokio::time::sleep(LATENCY).await;
    (StatusCode::CREATED, Json(created))
}

/// Lists the accepted messages, like Twilio's API for uncertain deliveries.
async fn list_messages(State(twilio): State<TwilioStub>) -> Json<Value> {
    let messages = twilio.messages.lock().unwrap();
    let listed = messages.iter().enumerate();
    let listed: Vec<_> = listed
        .map(|(n, taken)| message_json(n + 1, taken))
        .collect();
    Json(json!({"messages": listed, "next_page_uri": null}))
}

fn message_json(number: usize, ((to, body), taken_at): &(Message, String)) -> Value {
    json!({
        "sid": format!("SM{number:032x}"), "status": "queued", "to": to, "body": body,
        "error_code": null, "error_message": null, "num_segments": "1", "price": null,
        "date_created": taken_at, "date_sent": taken_at
    })
}
