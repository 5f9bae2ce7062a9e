//! Rules and recipients, read whole.

use sqlx::PgPool;
use sqlx::types::Json;

use super::StoreError;
use crate::domain::book::Book;
use crate::domain::recipient::{self, Recipient};
use crate::domain::rule::{self, Rule};

/// The number that grows with every change of a rule or a recipient.
pub async fn edition(pool: &PgPool) -> Result<i64, StoreError> {
    let number = sqlx::query_scalar!("select number from notification.edition");
    Ok(number.fetch_one(pool).await?)
}

/// All rules and recipients, and their edition or a later one's beginning. What cannot be used, as
/// it was kept by another version, is left out and told to the log.
pub async fn read(pool: &PgPool) -> Result<(i64, Book), StoreError> {
    // Read first: a change in between is read again, never missed.
    let edition = edition(pool).await?;
    let rows = sqlx::query!(
        r#"select id, spec as "spec: Json<serde_json::Value>" from notification.rule order by id"#
    );
    let rules = rows.fetch_all(pool).await?.into_iter().filter_map(|row| {
        let spec = serde_json::from_value::<rule::Spec>(row.spec.0).ok();
        let rule = spec.and_then(|spec| Rule::new(row.id, &spec).ok());
        if rule.is_none() {
            tracing::error!(rule = %row.id, "this rule cannot be followed");
        }
        rule
    });
    let rules = rules.collect();
    let rows = sqlx::query!(
        r#"select id, spec as "spec: Json<serde_json::Value>"
         from notification.recipient order by id"#
    );
    let recipients = rows.fetch_all(pool).await?.into_iter().filter_map(|row| {
        let spec = serde_json::from_value::<recipient::Spec>(row.spec.0).ok();
        let known = spec.and_then(|spec| {
            let recipient = Recipient::try_from(&spec).ok()?;
            Some((spec.name, spec.groups, recipient))
        });
        if known.is_none() {
            tracing::error!(recipient = %row.id, "this recipient cannot be told");
        }
        known
    });
    Ok((edition, Book::new(rules, recipients.collect())))
}
