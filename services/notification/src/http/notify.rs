//! `POST /notify`: one notification or a list of notifications.

use std::sync::Arc;

use axum::Extension;
use axum::body::Bytes;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use chassis::Problem;
use chassis::extract::{parse_json, parse_object, read_json_bytes};
use common::jwt::Claims;
use common::notification::{
    MAX_NOTIFICATIONS_PER_REQUEST, NotifyRequest, NotifyResponse, NotifyResult, NotifyResults,
};
use serde_json::value::RawValue;
use utoipa::ToSchema;

use super::state::AppState;
use super::{error, idempotency};
use crate::domain::notification::Notification;
use crate::domain::notify_command::NotifyCommand;
use crate::domain::planner::plan_deliveries;
use crate::domain::routing_table::RoutingTable;
use crate::store::accept::NewNotification;

/// One notification, or an array of at most 1,000.
#[derive(ToSchema)]
#[serde(untagged)]
#[expect(
    dead_code,
    reason = "documentation only; the first character of the body decides"
)]
pub(super) enum NotifyBody {
    One(NotifyRequest),
    Many(Vec<NotifyRequest>),
}

/// Send notifications.
///
/// A notification with a `message` is sent to `to`, or to the default recipient. Without a
/// `message`, the rules for its `event` determine texts and recipients. The response confirms that
/// the notification is stored, not that it was sent; `GET /notifications/{id}` returns the status
/// of its deliveries. A repeated request with the same idempotency key gets the same response for
/// 24 hours. The body may be an array of up to 1,000 notifications (answered with 200 and one
/// result per notification). Each then has its own key in `idempotency_key`, and an invalid
/// notification does not affect the others.
#[utoipa::path(post, path = "/notify", tag = "notify",
    request_body(content = NotifyBody, example =
        json!({"event": "deploy.finished", "message": "Version 12 is live."})),
    params(("Idempotency-Key" = Option<String>, Header, example = "visit-019a3b7e",
        description = "Idempotency key of 1 to 255 printable ASCII characters; not \
            accepted for arrays")),
    responses(
        (status = 202, body = NotifyResponse, description = "The notification is stored",
            example = json!({"id": "019ab3a0-6c00-7000-8000-000000000001", "status": "queued",
                "reason": null, "deliveries": [{"id": "019ab3a0-6c00-7000-8000-000000000002",
                    "channel": "sms", "recipient": "+1555•••67", "status": "pending"}]})),
        (status = 200, body = NotifyResults,
            description = "Results of an array, in the order of the request",
            example = json!({"results": [
                {"id": "019ab3a0-6c00-7000-8000-000000000001", "status": "queued",
                    "reason": null, "deliveries": [{"id": "019ab3a0-6c00-7000-8000-000000000002",
                    "channel": "sms", "recipient": "+1555•••67", "status": "pending"}],
                    "error": null},
                {"id": null, "status": null, "reason": null, "deliveries": [], "error": {
                    "code": "IDEMPOTENCY_KEY_REUSED", "detail": "idempotency_key: this key was \
                    used with a different body; use a new key for a new notification"}}]})),
        (status = 400, description = "`BODY_NOT_JSON` or `IDEMPOTENCY_KEY_INVALID`"),
        (status = 422, description = "`IDEMPOTENCY_KEY_REUSED`, `IDEMPOTENCY_KEY_CONFLICT`, \
                `TOO_MANY_NOTIFICATIONS`, or an invalid field"),
        (status = 503, description = "No notification was stored; retry after `Retry-After`"),
    ))]
pub(super) async fn notify(
    State(shared): State<AppState>,
    Extension(claims): Extension<Arc<Claims>>,
    request: Request,
) -> Result<Response, Problem> {
    let headers = request.headers().clone();
    let body = read_json_bytes(request).await?;
    if body.trim_ascii_start().first() == Some(&b'[') {
        idempotency::refuse_header(&headers)?;
        return notify_many(&shared, &claims.sub, &body).await;
    }
    notify_one(&shared, &claims.sub, &headers, &body).await
}

/// Runs `work` on a blocking thread if the rules are expensive to evaluate.
async fn run_rules<T: Send + 'static>(
    shared: &AppState,
    routing_table: &RoutingTable,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Problem> {
    if routing_table.is_expensive() {
        return Ok(shared.rule_engine.evaluate(work).await?);
    }
    Ok(work())
}

async fn notify_one(
    shared: &AppState,
    subject: &str,
    headers: &HeaderMap,
    body: &Bytes,
) -> Result<Response, Problem> {
    let header = idempotency::parse_header(headers)?;
    let by_header = header.is_some();
    let routing_table = shared.routing_cache.table().await?;
    let (own, rules, bytes) = (shared.clone(), routing_table.clone(), body.clone());
    let subject = subject.to_owned();
    let work = move || prepare(&own, &rules, &subject, header, &bytes);
    let planned = run_rules(shared, &routing_table, work).await??;
    let answers = shared.acceptor.accept(vec![planned], body.len()).await?;
    let answer = answers.into_iter().next().transpose();
    let answer = answer.map_err(|_| idempotency::key_reused(by_header))?;
    Ok((StatusCode::ACCEPTED, axum::Json(answer)).into_response())
}

async fn notify_many(shared: &AppState, subject: &str, body: &Bytes) -> Result<Response, Problem> {
    let routing_table = shared.routing_cache.table().await?;
    let (own, rules, bytes) = (shared.clone(), routing_table.clone(), body.clone());
    let subject = subject.to_owned();
    let work = move || prepare_all(&own, &rules, &subject, &bytes);
    let all = run_rules(shared, &routing_table, work).await??;
    let mut results: Vec<NotifyResult> = Vec::with_capacity(all.len());
    let (mut places, mut good) = (vec![], vec![]);
    for (place, planned) in all.into_iter().enumerate() {
        results.push(match planned {
            Ok(planned) => {
                places.push(place);
                good.push(planned);
                NotifyResult::default()
            }
            Err(problem) => rejected_result(&problem),
        });
    }
    let answers = shared.acceptor.accept(good, body.len()).await?;
    for (place, answer) in places.into_iter().zip(answers) {
        let reused = |_| rejected_result(&idempotency::key_reused(false));
        results[place] = answer.map_or_else(reused, NotifyResult::from);
    }
    Ok(axum::Json(NotifyResults { results }).into_response())
}

fn prepare_all(
    shared: &AppState,
    routing_table: &RoutingTable,
    subject: &str,
    body: &[u8],
) -> Result<Vec<Result<NewNotification, Problem>>, Problem> {
    let items: Vec<&RawValue> = parse_json(body)?;
    if items.len() > MAX_NOTIFICATIONS_PER_REQUEST {
        return Err(error::too_many_notifications());
    }
    let items = items.iter().map(|item| item.get().as_bytes());
    let each = items.map(|item| prepare(shared, routing_table, subject, None, item));
    Ok(each.collect())
}

fn rejected_result(problem: &Problem) -> NotifyResult {
    NotifyResult {
        error: Some(error::item_error(problem)),
        ..NotifyResult::default()
    }
}

fn prepare(
    shared: &AppState,
    routing_table: &RoutingTable,
    subject: &str,
    header: Option<String>,
    body: &[u8],
) -> Result<NewNotification, Problem> {
    let mut request = parse_object(body)?;
    let key = idempotency::take_key(subject, header, &mut request)?;
    let command = NotifyCommand::try_from(request)?;
    let now = shared.clock.now();
    let mut branches = plan_deliveries(&command, routing_table, &shared.default_recipient, now)?;
    shared.rule_failures.record_results(&mut branches, now);
    let new = Notification::new(command, branches, &shared.clock);
    Ok(NewNotification {
        notification: new,
        idempotency_key: key,
    })
}
