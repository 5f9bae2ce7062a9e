//! Records what providers report: receipts, and replies such as STOP.

use chassis::database::StoreError;
use common::clock::Clock;
use sqlx::PgPool;

use crate::clients::{twilio, vonage};
use crate::domain::channel_address::ChannelAddress;
use crate::domain::provider_event::{ProviderEvent, ProviderReceipt};
use crate::store::{receipt, suppression};

/// Reason of the suppression after STOP.
const OPT_OUT_REASON: &str = "answered STOP";

/// Stores a receipt, or changes the suppression of a number after a reply.
#[tracing::instrument(level = "debug", name = "record_provider_event", skip_all)]
pub async fn record(
    pool: &PgPool,
    clock: &Clock,
    provider: &str,
    event: ProviderEvent,
) -> Result<(), StoreError> {
    let (id, now) = (clock.new_id(), clock.now());
    match event {
        ProviderEvent::Receipt(receipt) => {
            let detail = receipt.failed.then(|| failure_detail(provider, &receipt));
            receipt::upsert(pool, provider, &receipt, detail.as_deref(), now).await
        }
        ProviderEvent::OptOut(address) => {
            // Only valid addresses can occur in deliveries.
            if let Ok(address) = address.parse::<ChannelAddress>() {
                suppression::insert(pool, id, address.unmasked(), OPT_OUT_REASON, now).await?;
            }
            Ok(())
        }
        ProviderEvent::OptIn(address) => match address.parse::<ChannelAddress>() {
            Ok(address) => {
                suppression::delete_by_reason(pool, address.unmasked(), OPT_OUT_REASON).await
            }
            Err(_) => Ok(()),
        },
        ProviderEvent::Ignored => Ok(()),
    }
}

fn failure_detail(provider: &str, receipt: &ProviderReceipt) -> String {
    let words = match provider {
        "twilio" => receipt.code.and_then(twilio::callback::describe_code),
        _ => receipt.code.map(vonage::callback::describe_code),
    };
    let code = receipt.code.map(|code| format!(", code {code}"));
    let words = words.map(|words| format!(": {words}"));
    let status = receipt.status.clone();
    [status, code.unwrap_or_default(), words.unwrap_or_default()].concat()
}
