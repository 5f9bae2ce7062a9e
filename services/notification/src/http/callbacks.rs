//! `/callbacks`: signed status reports and inbound messages of providers.

use axum::extract::{OriginalUri, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use chassis::Problem;
use chassis::extract::read_untrusted_bytes;
use secrecy::ExposeSecret as _;

use super::error;
use super::state::AppState;
use crate::app::provider_events;
use crate::clients::callback_keys::CallbackKeys;
use crate::clients::form::{form_field, parse_form};
use crate::clients::{twilio, vonage};

/// Older callbacks of Vonage are refused.
const MAX_CALLBACK_AGE_SECONDS: u64 = 300;
/// Callbacks of Twilio and Vonage have a few kilobytes.
const MAX_CALLBACK_BYTES: usize = 65_536;

/// Receive a callback of Twilio.
///
/// Twilio reports the status of a message, or an inbound message. The status of a delivery only
/// moves forward. STOP suppresses the number; START lifts that suppression.
#[utoipa::path(post, path = "/callbacks/twilio", tag = "callbacks",
    request_body(content = String, content_type = "application/x-www-form-urlencoded"),
    params(("X-Twilio-Signature" = String, Header,
        description = "Signature by Twilio over `PUBLIC_URL`")),
    responses(
        (status = 200, description = "The callback was stored", content_type = "text/xml"),
        (status = 403, description = "`SIGNATURE_INVALID`"),
        (status = 404, description = "`NOT_FOUND`: `PUBLIC_URL` or the auth token is not set"),
    ))]
pub(super) async fn twilio_callback(
    State(shared): State<AppState>,
    OriginalUri(uri): OriginalUri,
    headers: HeaderMap,
    request: Request,
) -> Result<Response, Problem> {
    let CallbackKeys {
        public_url: Some(public),
        twilio_auth_token: Some(token),
        ..
    } = shared.callback_keys.as_ref()
    else {
        return Err(error::callbacks_not_configured());
    };
    let given = headers.get("x-twilio-signature");
    let given = given.and_then(|value| value.to_str().ok());
    let given = given.ok_or_else(error::signature_invalid)?;
    let form = parse_form(&read_untrusted_bytes(request, MAX_CALLBACK_BYTES).await?);
    let urls = twilio::callback::signed_urls(
        public,
        uri.path_and_query().map_or("", |path| path.as_str()),
    );
    if !twilio::callback::verify_signature(token.expose_secret(), &urls, &form, given) {
        return Err(error::signature_invalid());
    }
    provider_events::record(
        &shared.pool,
        &shared.clock,
        "twilio",
        twilio::callback::parse_event(&form),
    )
    .await?;
    // An empty response: Twilio itself replies to STOP and HELP.
    let nothing = "<?xml version=\"1.0\" encoding=\"UTF-8\"?><Response/>";
    Ok(([(header::CONTENT_TYPE, "text/xml")], nothing).into_response())
}

/// Receive a callback of Vonage.
///
/// Handled like callbacks of Twilio. The callback must be signed with the method `sha256hmac` and
/// at most five minutes old.
#[utoipa::path(post, path = "/callbacks/vonage", tag = "callbacks",
    request_body(content = String, content_type = "application/x-www-form-urlencoded"),
    responses(
        (status = 200, description = "The callback was stored"),
        (status = 403, description = "`SIGNATURE_INVALID`"),
        (status = 404, description = "`NOT_FOUND`: `VONAGE_SIGNATURE_SECRET` is not set"),
    ))]
pub(super) async fn vonage_callback(
    State(shared): State<AppState>,
    request: Request,
) -> Result<StatusCode, Problem> {
    let Some(secret) = &shared.callback_keys.vonage_signature_secret else {
        return Err(error::callbacks_not_configured());
    };
    let form =
        vonage::callback::parse_fields(&read_untrusted_bytes(request, MAX_CALLBACK_BYTES).await?);
    let at = form_field(&form, "timestamp").and_then(|at| at.parse::<i64>().ok());
    let fresh = at
        .is_some_and(|at| shared.clock.now().timestamp().abs_diff(at) <= MAX_CALLBACK_AGE_SECONDS);
    if !fresh || !vonage::callback::verify_signature(secret.expose_secret(), &form) {
        return Err(error::signature_invalid());
    }
    provider_events::record(
        &shared.pool,
        &shared.clock,
        "vonage",
        vonage::callback::parse_event(&form),
    )
    .await?;
    Ok(StatusCode::OK)
}
