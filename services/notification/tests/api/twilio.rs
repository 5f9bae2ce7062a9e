//! A fake of Twilio's API.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex};

use axum::extract::{Form, Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::routing::post;
use axum::{Json, Router};
use common::clock::Clock;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio_util::task::AbortOnDropHandle;

use crate::support::PHONE;

pub const ACCOUNT: &str = "AC00000000000000000000000000000001";
pub const FROM: &str = "+15550100001";

/// The reply to the next message. Without a script, messages are accepted.
#[derive(Clone, Copy, Debug)]
pub enum Reply {
    Accept,
    Refuse(u16, i32),
    /// 429 with this `Retry-After`.
    Wait(u32),
    /// A 5xx without JSON, as from a proxy; the message is not accepted.
    Fail(u16),
    AcceptThenFail(u16),
    AcceptThenBreak,
    AcceptThenSilence,
    /// The message is accepted at once, and the response is sent when released.
    AcceptThenWait,
    AcceptWhenReleased,
}

/// A request to send a message.
#[derive(Clone, Debug)]
pub struct Post {
    pub account: String,
    pub authorization: String,
    pub form: HashMap<String, String>,
}

#[derive(Debug)]
struct ServerState {
    clock: Clock,
    script: VecDeque<Reply>,
    posts: Vec<Post>,
    lookups: Vec<HashMap<String, String>>,
    messages: Vec<Value>,
    gate: Arc<Notify>,
}

type SharedState = Arc<Mutex<ServerState>>;

pub struct Twilio {
    base: String,
    world: SharedState,
    _server: AbortOnDropHandle<()>,
}

impl Twilio {
    pub async fn start(clock: &Clock, script: &[Reply]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        Self::start_on(listener, clock, script)
    }

    pub fn start_on(listener: TcpListener, clock: &Clock, script: &[Reply]) -> Self {
        let base = format!("http://{}", listener.local_addr().unwrap());
        let world = Arc::new(Mutex::new(ServerState {
            clock: clock.clone(),
            script: script.iter().copied().collect(),
            posts: vec![],
            lookups: vec![],
            messages: vec![],
            gate: Arc::default(),
        }));
        let path = "/2010-04-01/Accounts/{account}/Messages.json";
        let router = Router::new()
            .route(path, post(create).get(list))
            .with_state(world.clone());
        let server = tokio::spawn(async { axum::serve(listener, router).await.unwrap() });
        Self {
            base,
            world,
            _server: AbortOnDropHandle::new(server),
        }
    }

    pub fn args(&self) -> Vec<String> {
        args(&self.base)
    }

    pub fn posts(&self) -> Vec<Post> {
        self.world.lock().unwrap().posts.clone()
    }

    pub fn lookups(&self) -> Vec<HashMap<String, String>> {
        self.world.lock().unwrap().lookups.clone()
    }

    /// Releases one message that waits (`AcceptWhenReleased`).
    pub fn release(&self) {
        self.world.lock().unwrap().gate.notify_one();
    }

    /// The accepted messages.
    pub fn messages(&self) -> Vec<Value> {
        self.world.lock().unwrap().messages.clone()
    }
}

/// The settings of the service for Twilio at `base`.
pub fn args(base: &str) -> Vec<String> {
    vec![
        "--sms-api-key=the-auth-token".into(),
        format!("--twilio-account-sid={ACCOUNT}"),
        format!("--sms-from={FROM}"),
        format!("--twilio-base-url={base}"),
        format!("--notification-phone-number={PHONE}"),
    ]
}

async fn create(
    State(world): State<SharedState>,
    Path(account): Path<String>,
    headers: HeaderMap,
    Form(form): Form<HashMap<String, String>>,
) -> Response {
    let reply = {
        let mut world = world.lock().unwrap();
        let authorization = headers["authorization"].to_str().unwrap().to_owned();
        world.posts.push(Post {
            account,
            authorization,
            form: form.clone(),
        });
        world.script.pop_front().unwrap_or(Reply::Accept)
    };
    if let Reply::AcceptWhenReleased = reply {
        let gate = world.lock().unwrap().gate.clone();
        gate.notified().await;
    }
    match reply {
        Reply::Accept | Reply::AcceptWhenReleased => {
            (StatusCode::CREATED, Json(accept(&world, &form))).into_response()
        }
        Reply::Refuse(status, code) => refusal(status, code),
        Reply::Wait(seconds) => {
            let mut response = refusal(429, 20429);
            response.headers_mut().insert("retry-after", seconds.into());
            response
        }
        Reply::Fail(status) => failure(status),
        Reply::AcceptThenFail(status) => {
            accept(&world, &form);
            failure(status)
        }
        Reply::AcceptThenBreak => {
            accept(&world, &form);
            // Ends the task, and thereby the connection, without printing a panic message.
            std::panic::resume_unwind(Box::new(()))
        }
        Reply::AcceptThenSilence => {
            accept(&world, &form);
            std::future::pending().await
        }
        Reply::AcceptThenWait => {
            let message = accept(&world, &form);
            let gate = world.lock().unwrap().gate.clone();
            gate.notified().await;
            (StatusCode::CREATED, Json(message)).into_response()
        }
    }
}

fn accept(world: &SharedState, form: &HashMap<String, String>) -> Value {
    let mut world = world.lock().unwrap();
    let message = json!({
        "sid": format!("SM{:032x}", world.messages.len() + 1),
        "account_sid": ACCOUNT, "to": form["To"], "from": form.get("From"), "body": form["Body"],
        "status": "queued", "error_code": null, "error_message": null, "num_segments": "1",
        "price": null, "date_created": world.clock.now().to_rfc2822(), "date_sent": null,
    });
    world.messages.push(message.clone());
    message
}

fn refusal(status: u16, code: i32) -> Response {
    let body = json!({
        "code": code, "message": format!("The number {PHONE} was not accepted"),
        "more_info": format!("https://www.twilio.com/docs/errors/{code}"), "status": status,
    });
    let status = StatusCode::from_u16(status).unwrap();
    (status, Json(body)).into_response()
}

fn failure(status: u16) -> Response {
    let status = StatusCode::from_u16(status).unwrap();
    (status, "<html>upstream error</html>").into_response()
}

async fn list(
    State(world): State<SharedState>,
    Query(query): Query<HashMap<String, String>>,
) -> Json<Value> {
    let mut world = world.lock().unwrap();
    world.lookups.push(query.clone());
    let newest_first = world.messages.iter().rev();
    let to = newest_first.filter(|message| message["to"] == query["To"].as_str());
    let number = |name: &str| query.get(name).map_or(0, |text| text.parse().unwrap());
    let (page, size): (usize, usize) = (number("Page"), number("PageSize"));
    let mut messages: Vec<_> = to.skip(page * size).take(size + 1).cloned().collect();
    let next = (messages.len() > size).then(|| {
        let path = format!("/2010-04-01/Accounts/{ACCOUNT}/Messages.json");
        let to = query["To"].replace('+', "%2B");
        format!(
            "{path}?To={to}&PageSize={size}&Page={}&PageToken=PASM",
            page + 1
        )
    });
    messages.truncate(size);
    Json(json!({"messages": messages, "page": page, "next_page_uri": next}))
}
