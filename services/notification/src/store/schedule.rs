//! Finds what is due next and whether the rules have changed, in one query for all workers.

use chassis::database::StoreError;
use chrono::{DateTime, Utc};
use sqlx::PgPool;

use crate::domain::channel_address::DeliveryChannel;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Schedule {
    /// The version of rules and recipients.
    pub routing_version: i64,
    /// When the next delivery of each channel is due or its lease expires.
    pub due_deliveries: Vec<(DeliveryChannel, DateTime<Utc>)>,
    /// When the next digest is due.
    pub due_digest: Option<DateTime<Utc>>,
}

pub async fn load(pool: &PgPool) -> Result<Schedule, StoreError> {
    let channels = DeliveryChannel::ALL.map(|channel| channel.as_str().to_owned());
    let rows = sqlx::query!(
        r#"select c.channel as "channel!", first.due as "due?",
             (select number from notification.routing_version) as "version!",
             (select min(due_at) from notification.digest) as digest
         from unnest($1::text[]) as c (channel) left join lateral (
             select coalesce(leased_until, due_at) as due from notification.delivery d
             where d.status in ('pending', 'sending') and d.channel = c.channel
             order by coalesce(leased_until, due_at) limit 1) first on true"#,
        &channels,
    )
    .fetch_all(pool)
    .await?;
    let deliveries = rows
        .iter()
        .filter_map(|row| Some((DeliveryChannel::from_name(&row.channel)?, row.due?)));
    Ok(Schedule {
        routing_version: rows.first().map_or(0, |row| row.version),
        due_deliveries: deliveries.collect(),
        due_digest: rows.first().and_then(|row| row.digest),
    })
}
