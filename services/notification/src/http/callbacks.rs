//! `/callbacks`: signed status reports and inbound messages of providers.

use axum::extract::{OriginalUri, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use chassis::Problem;
use chassis::extract::untrusted_bytes;
use secrecy::ExposeSecret as _;
use url::Url;

use super::error;
use super::state::AppState;
use crate::clients::callback_keys::CallbackKeys;
use crate::domain::callback::{self, CallbackEvent, FormFields, ProviderReceipt, form_field};
use crate::domain::channel_address::ChannelAddress;
use crate::domain::{twilio, vonage};
use crate::store::receipt as kept;
use crate::store::{StoreError, suppression};

/// Reason of the suppression after STOP.
const OPT_OUT_REASON: &str = "answered STOP";
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
    let form = parse_form(&untrusted_bytes(request, MAX_CALLBACK_BYTES).await?);
    let urls = signed_urls(
        public,
        uri.path_and_query().map_or("", |path| path.as_str()),
    );
    if !callback::verify_twilio_signature(token.expose_secret(), &urls, &form, given) {
        return Err(error::signature_invalid());
    }
    store_event(&shared, "twilio", callback::parse_twilio_callback(&form)).await?;
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
    let form = parse_form_or_json(&untrusted_bytes(request, MAX_CALLBACK_BYTES).await?);
    let at = form_field(&form, "timestamp").and_then(|at| at.parse::<i64>().ok());
    let fresh = at
        .is_some_and(|at| shared.clock.now().timestamp().abs_diff(at) <= MAX_CALLBACK_AGE_SECONDS);
    if !fresh || !callback::verify_vonage_signature(secret.expose_secret(), &form) {
        return Err(error::signature_invalid());
    }
    store_event(&shared, "vonage", callback::parse_vonage_callback(&form)).await?;
    Ok(StatusCode::OK)
}

fn parse_form(body: &[u8]) -> FormFields {
    url::form_urlencoded::parse(body).into_owned().collect()
}

/// Vonage sends a form or JSON, depending on the settings of the account.
fn parse_form_or_json(body: &[u8]) -> FormFields {
    match serde_json::from_slice::<serde_json::Map<String, serde_json::Value>>(body) {
        Ok(object) => object
            .into_iter()
            .map(|(key, value)| {
                let text = value.as_str().map(ToOwned::to_owned);
                (key, text.unwrap_or_else(|| value.to_string()))
            })
            .collect(),
        Err(_) => parse_form(body),
    }
}

/// The URLs that Twilio may have signed: with the port and without.
fn signed_urls(public: &Url, path: &str) -> Vec<String> {
    let base = public.as_str().trim_end_matches('/');
    let mut with_port = vec![format!("{base}{path}")];
    let port = public.port_or_known_default();
    if let (None, Some(port), Some(host)) = (public.port(), port, public.host_str()) {
        let rest = public.path().trim_end_matches('/');
        with_port.push(format!("{}://{host}:{port}{rest}{path}", public.scheme()));
    }
    with_port
}

async fn store_event(
    shared: &AppState,
    provider: &str,
    said: CallbackEvent,
) -> Result<(), StoreError> {
    let (id, now) = (shared.clock.new_id(), shared.clock.now());
    match said {
        CallbackEvent::Receipt(receipt) => {
            let detail = receipt.failed.then(|| failure_detail(provider, &receipt));
            kept::upsert(&shared.pool, provider, &receipt, detail.as_deref(), now).await
        }
        CallbackEvent::OptOut(address) => {
            // Only valid addresses can occur in deliveries.
            if address.parse::<ChannelAddress>().is_ok() {
                suppression::insert(&shared.pool, id, &address, OPT_OUT_REASON, now).await?;
            }
            Ok(())
        }
        CallbackEvent::OptIn(address) => {
            suppression::delete_by_reason(&shared.pool, &address, OPT_OUT_REASON).await
        }
        CallbackEvent::Ignored => Ok(()),
    }
}

fn failure_detail(provider: &str, receipt: &ProviderReceipt) -> String {
    let words = match provider {
        "twilio" => receipt.code.and_then(twilio::describe_code),
        _ => receipt.code.map(|code| vonage::classify_status(code).1),
    };
    let code = receipt.code.map(|code| format!(", code {code}"));
    let words = words.map(|words| format!(": {words}"));
    let status = receipt.status.clone();
    [status, code.unwrap_or_default(), words.unwrap_or_default()].concat()
}
