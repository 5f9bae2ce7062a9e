//! Callbacks of Vonage: their signature and content.

use std::collections::HashSet;

use aws_lc_rs::hmac::{HMAC_SHA256, Key, verify};

use super::status::classify_status;
use crate::clients::form::{FormFields, form_field, parse_form};
use crate::domain::provider_event::{ProviderEvent, ProviderReceipt, parse_reply};

/// Parses a callback of Vonage:
/// <https://developer.vonage.com/en/messaging/sms/guides/delivery-receipts>.
#[must_use]
pub fn parse_event(form: &FormFields) -> ProviderEvent {
    if let (Some(id), Some(status)) = (form_field(form, "messageId"), form_field(form, "status")) {
        let (rank, failed) = match status {
            "buffered" => (2, false),
            "accepted" => (3, false),
            "delivered" => (5, false),
            "expired" | "failed" | "rejected" | "deleted" => (5, true),
            _ => return ProviderEvent::Ignored,
        };
        let code = form_field(form, "err-code").and_then(|code| code.parse().ok());
        return ProviderEvent::Receipt(ProviderReceipt {
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

/// Vonage sends a form or JSON, depending on the settings of the account.
#[must_use]
pub fn parse_fields(body: &[u8]) -> FormFields {
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

/// Explains the code of a message that failed.
#[must_use]
pub const fn describe_code(code: i32) -> &'static str {
    classify_status(code).1
}

/// Whether Vonage signed this form (method `sha256hmac`):
/// <https://developer.vonage.com/en/getting-started/concepts/signing-messages>.
#[must_use]
pub fn verify_signature(secret: &str, form: &FormFields) -> bool {
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
    use crate::clients::form::form;

    #[test]
    fn what_vonage_signed_cannot_be_cut_into_other_fields() {
        let signed = |fields: &[(&str, &str)], over: &str| {
            let key = Key::new(HMAC_SHA256, b"secret");
            let sum = aws_lc_rs::hmac::sign(&key, over.as_bytes());
            let hex = sum.as_ref().iter().map(|byte| format!("{byte:02x}"));
            let mut fields = form(fields);
            fields.push(("sig".into(), hex.collect::<Vec<_>>().concat()));
            verify_signature("secret", &fields)
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
    fn a_reply_comes_from_a_number_without_a_plus() {
        let reply = form(&[("msisdn", "15550100067"), ("text", "STOP")]);
        assert_eq!(
            parse_event(&reply),
            ProviderEvent::OptOut("+15550100067".into())
        );
    }
}
