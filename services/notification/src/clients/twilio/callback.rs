//! Callbacks of Twilio: their signature and content.

use aws_lc_rs::hmac::{HMAC_SHA1_FOR_LEGACY_USE_ONLY, Key, verify};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use url::Url;

pub use super::error_code::describe_code;
use crate::clients::form::{FormFields, form_field};
use crate::domain::provider_event::{ProviderEvent, ProviderReceipt, parse_reply};

/// Parses a callback of Twilio:
/// <https://www.twilio.com/docs/messaging/guides/track-outbound-message-status>.
#[must_use]
pub fn parse_event(form: &FormFields) -> ProviderEvent {
    if let (Some(id), Some(status)) = (
        form_field(form, "MessageSid"),
        form_field(form, "MessageStatus"),
    ) {
        let (rank, failed) = match status {
            "accepted" | "scheduled" => (1, false),
            "queued" => (2, false),
            "sending" => (3, false),
            "sent" => (4, false),
            "delivered" => (5, false),
            "undelivered" | "failed" | "canceled" => (5, true),
            "read" => (6, false),
            _ => return ProviderEvent::Ignored,
        };
        return ProviderEvent::Receipt(ProviderReceipt {
            message_id: id.to_owned(),
            status: status.to_owned(),
            rank,
            failed,
            code: form_field(form, "ErrorCode").and_then(|code| code.parse().ok()),
        });
    }
    let word = form_field(form, "OptOutType").or_else(|| form_field(form, "Body"));
    parse_reply(form_field(form, "From"), word)
}

/// Whether Twilio signed this form for one of these URLs:
/// <https://www.twilio.com/docs/usage/webhooks/webhooks-security>.
#[must_use]
pub fn verify_signature(token: &str, urls: &[String], form: &FormFields, signature: &str) -> bool {
    let Ok(signature) = STANDARD.decode(signature) else {
        return false;
    };
    let key = Key::new(HMAC_SHA1_FOR_LEGACY_USE_ONLY, token.as_bytes());
    let mut sorted: Vec<_> = form.iter().collect();
    sorted.sort();
    let fields: String = sorted.iter().flat_map(|(k, v)| [k.as_str(), v]).collect();
    urls.iter()
        .any(|url| verify(&key, format!("{url}{fields}").as_bytes(), &signature).is_ok())
}

/// The URLs that Twilio may have signed: with the port and without.
#[must_use]
pub fn signed_urls(public: &Url, path: &str) -> Vec<String> {
    let base = public.as_str().trim_end_matches('/');
    let mut with_port = vec![format!("{base}{path}")];
    let port = public.port_or_known_default();
    if let (None, Some(port), Some(host)) = (public.port(), port, public.host_str()) {
        let rest = public.path().trim_end_matches('/');
        with_port.push(format!("{}://{host}:{port}{rest}{path}", public.scheme()));
    }
    with_port
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clients::form::form;

    #[test]
    fn the_published_signature_of_twilio() {
        let mut fields = form(&[
            ("CallSid", "CA1234567890ABCDE"),
            ("Caller", "+14158675309"),
            ("From", "+14158675309"),
            ("Digits", "1234"),
            ("To", "+18005551212"),
        ]);
        let urls = ["https://mycompany.com/myapp.php?foo=1&bar=2".to_owned()];
        let signature = "RSOYDt4T1cUTdK1PDd93/VVr8B8=";
        assert!(verify_signature("12345", &urls, &fields, signature));
        assert!(!verify_signature("12346", &urls, &fields, signature));
        assert!(!verify_signature("12345", &urls, &fields, "nonsense"));
        fields.push(("More".into(), "1".into()));
        assert!(!verify_signature("12345", &urls, &fields, signature));
    }

    #[test]
    fn a_reply_is_in_the_body_or_the_type() {
        let inbound = |body| parse_event(&form(&[("From", "+15550100067"), ("Body", body)]));
        assert_eq!(
            inbound("stop"),
            ProviderEvent::OptOut("+15550100067".into())
        );
        assert_eq!(inbound("HELP"), ProviderEvent::Ignored);
        let typed = form(&[("From", "+1"), ("Body", "arrêt"), ("OptOutType", "STOP")]);
        assert_eq!(parse_event(&typed), ProviderEvent::OptOut("+1".into()));
    }
}
