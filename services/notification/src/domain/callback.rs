//! Callbacks of providers: delivery receipts and inbound messages.

use std::collections::HashSet;

use aws_lc_rs::hmac::{HMAC_SHA1_FOR_LEGACY_USE_ONLY, HMAC_SHA256, Key, verify};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// The fields of a form in their original order.
pub type FormFields = Vec<(String, String)>;

/// A status that a provider reports about a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProviderReceipt {
    pub message_id: String,
    /// The provider's name of the status.
    pub status: String,
    /// Only a status with a higher rank replaces the current one.
    pub rank: i16,
    /// Whether the message is not delivered.
    pub failed: bool,
    /// The provider's error code, if the message failed.
    pub code: Option<i32>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CallbackEvent {
    Receipt(ProviderReceipt),
    /// The sender of a reply with this number opts out.
    OptOut(String),
    /// The sender of a reply with this number opts in again.
    OptIn(String),
    /// A callback that the service ignores.
    Ignored,
}

/// Returns the first value of a field.
#[must_use]
pub fn form_field<'a>(form: &'a FormFields, name: &str) -> Option<&'a str> {
    let found = form.iter().find(|(key, _)| key == name);
    found.map(|(_, value)| value.as_str())
}

/// Parses a callback of Twilio:
/// <https://www.twilio.com/docs/messaging/guides/track-outbound-message-status>.
#[must_use]
pub fn parse_twilio_callback(form: &FormFields) -> CallbackEvent {
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
            _ => return CallbackEvent::Ignored,
        };
        return CallbackEvent::Receipt(ProviderReceipt {
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

/// Parses a callback of Vonage:
/// <https://developer.vonage.com/en/messaging/sms/guides/delivery-receipts>.
#[must_use]
pub fn parse_vonage_callback(form: &FormFields) -> CallbackEvent {
    if let (Some(id), Some(status)) = (form_field(form, "messageId"), form_field(form, "status")) {
        let (rank, failed) = match status {
            "buffered" => (2, false),
            "accepted" => (3, false),
            "delivered" => (5, false),
            "expired" | "failed" | "rejected" | "deleted" => (5, true),
            _ => return CallbackEvent::Ignored,
        };
        let code = form_field(form, "err-code").and_then(|code| code.parse().ok());
        return CallbackEvent::Receipt(ProviderReceipt {
            message_id: id.to_owned(),
            status: status.to_owned(),
            rank,
            failed,
            code: code.filter(|_| failed),
        });
    }
    let from = form_field(form, "msisdn").map(|from| format!("+{}", from.trim_start_matches('+')));
    parse_reply(from.as_deref(), form_field(form, "text"))
}

/// Recognizes the keywords that carriers define. The message must consist of the keyword only.
fn parse_reply(from: Option<&str>, word: Option<&str>) -> CallbackEvent {
    let (Some(from), Some(word)) = (from, word) else {
        return CallbackEvent::Ignored;
    };
    match word.trim().to_ascii_uppercase().as_str() {
        "STOP" | "STOPALL" | "UNSUBSCRIBE" | "CANCEL" | "END" | "QUIT" => {
            CallbackEvent::OptOut(from.to_owned())
        }
        "START" | "UNSTOP" | "YES" => CallbackEvent::OptIn(from.to_owned()),
        _ => CallbackEvent::Ignored,
    }
}

/// Whether Twilio signed this form for one of these URLs:
/// <https://www.twilio.com/docs/usage/webhooks/webhooks-security>.
#[must_use]
pub fn verify_twilio_signature(
    token: &str,
    urls: &[String],
    form: &FormFields,
    signature: &str,
) -> bool {
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

/// Whether Vonage signed this form (method `sha256hmac`):
/// <https://developer.vonage.com/en/getting-started/concepts/signing-messages>.
#[must_use]
pub fn verify_vonage_signature(secret: &str, form: &FormFields) -> bool {
    let Some(given) = form_field(form, "sig") else {
        return false;
    };
    // The signature scheme replaces `&` and `=` in values only. In a name, they would make the
    // signature valid for a different set of fields. Vonage sends no such names and no duplicates.
    let mut names = HashSet::new();
    let is_plain = |name: &str| !name.is_empty() && !name.contains(['&', '=']);
    if !form
        .iter()
        .all(|(name, _)| is_plain(name) && names.insert(name))
    {
        return false;
    }
    let mut sorted: Vec<_> = form.iter().filter(|(key, _)| key != "sig").collect();
    sorted.sort();
    let clean = |text: &str| text.replace(['&', '='], "_");
    let text = sorted.iter().map(|(k, v)| format!("&{k}={}", clean(v)));
    let text: String = text.collect();
    let key = Key::new(HMAC_SHA256, secret.as_bytes());
    let given = decode_hex(given).unwrap_or_default();
    verify(&key, text.as_bytes(), &given).is_ok()
}

fn decode_hex(text: &str) -> Option<Vec<u8>> {
    let digits = text.as_bytes().chunks(2);
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    digits.map(byte).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form(fields: &[(&str, &str)]) -> FormFields {
        let own = |(k, v): &(&str, &str)| ((*k).to_owned(), (*v).to_owned());
        fields.iter().map(own).collect()
    }

    #[test]
    fn the_published_signature_of_twilio() {
        let mut form = form(&[
            ("CallSid", "CA1234567890ABCDE"),
            ("Caller", "+14158675309"),
            ("From", "+14158675309"),
            ("Digits", "1234"),
            ("To", "+18005551212"),
        ]);
        let urls = ["https://mycompany.com/myapp.php?foo=1&bar=2".to_owned()];
        let signature = "RSOYDt4T1cUTdK1PDd93/VVr8B8=";
        assert!(verify_twilio_signature("12345", &urls, &form, signature));
        assert!(!verify_twilio_signature("12346", &urls, &form, signature));
        assert!(!verify_twilio_signature("12345", &urls, &form, "nonsense"));
        form.push(("More".into(), "1".into()));
        assert!(!verify_twilio_signature("12345", &urls, &form, signature));
    }

    #[test]
    fn what_vonage_signed_cannot_be_cut_into_other_fields() {
        let signed = |fields: &[(&str, &str)], over: &str| {
            let key = Key::new(HMAC_SHA256, b"secret");
            let sum = aws_lc_rs::hmac::sign(&key, over.as_bytes());
            let hex = sum.as_ref().iter().map(|byte| format!("{byte:02x}"));
            let mut form = form(fields);
            form.push(("sig".into(), hex.collect::<Vec<_>>().concat()));
            verify_vonage_signature("secret", &form)
        };
        let over = "&msisdn=15550100067&text=hello STOP&timestamp=1";
        let fields = [
            ("msisdn", "15550100067"),
            ("text", "hello STOP"),
            ("timestamp", "1"),
        ];
        assert!(signed(&fields, over));
        for cut in [
            &[
                ("msisdn", "15550100067"),
                ("text", "hello STOP&timestamp=1"),
            ][..],
            &[
                ("msisdn=15550100067&text", "hello STOP"),
                ("timestamp", "1"),
            ],
            &[
                ("msisdn", "15550100067"),
                ("text=hello STOP&timestamp", "1"),
            ],
        ] {
            assert!(!signed(cut, over), "{cut:?}");
        }
        assert!(signed(&[("text", "a&b=c")], "&text=a_b_c"));
        assert!(!signed(&[("text", "a"), ("text", "b")], "&text=a&text=b"));
        assert!(!signed(&[("", "a")], "&=a"));
    }

    #[test]
    fn a_keyword_counts_alone() {
        let inbound =
            |body| parse_twilio_callback(&form(&[("From", "+15550100067"), ("Body", body)]));
        assert_eq!(
            inbound(" stop "),
            CallbackEvent::OptOut("+15550100067".into())
        );
        assert_eq!(
            inbound("Start"),
            CallbackEvent::OptIn("+15550100067".into())
        );
        assert_eq!(inbound("do not stop"), CallbackEvent::Ignored);
        assert_eq!(inbound("HELP"), CallbackEvent::Ignored);
        let typed = form(&[("From", "+1"), ("Body", "arrêt"), ("OptOutType", "STOP")]);
        assert_eq!(
            parse_twilio_callback(&typed),
            CallbackEvent::OptOut("+1".into())
        );
        let other = form(&[("msisdn", "15550100067"), ("text", "STOP")]);
        assert_eq!(
            parse_vonage_callback(&other),
            CallbackEvent::OptOut("+15550100067".into())
        );
    }
}
