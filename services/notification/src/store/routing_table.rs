//! Loads the routing table: all rules and recipients.

use std::sync::Arc;

use chassis::database::StoreError;
use chassis::panics::catch_panic;
use sqlx::PgPool;
use sqlx::types::Json;

use super::rule::is_unmodified_default;
use crate::domain::recipient::{self, Recipient};
use crate::domain::routing_table::{RoutingTable, UnusableRule};
use crate::domain::rule::{self, Rule};

/// The version of rules and recipients, which increases with every change.
pub async fn version(pool: &PgPool) -> Result<i64, StoreError> {
    let number = sqlx::query_scalar!("select number from notification.routing_version");
    Ok(number.fetch_one(pool).await?)
}

/// Loads all rules and recipients with their version. They may include changes of the next version.
/// Entries that cannot be read, because another version of the service wrote them, are logged and
/// skipped.
pub async fn load(pool: &PgPool) -> Result<(i64, RoutingTable), StoreError> {
    // The version is read first, so that a concurrent change is loaded again instead of missed.
    let number = version(pool).await?;
    let (rules, unfollowed) = load_rules(pool).await?;
    let rows = sqlx::query!(
        r#"select id, spec as "spec: Json<serde_json::Value>"
         from notification.recipient order by id"#
    );
    let recipients = rows.fetch_all(pool).await?.into_iter().filter_map(|row| {
        let spec = serde_json::from_value::<recipient::RecipientSpec>(row.spec.0).ok();
        let known = spec.and_then(|spec| {
            let recipient = Recipient::try_from(&spec).ok()?;
            Some((spec.name, spec.groups, recipient))
        });
        if known.is_none() {
            tracing::error!(
                recipient = %row.id,
                "a stored recipient is invalid and is skipped; replace or delete it"
            );
        }
        known
    });
    let table = RoutingTable::new(rules, recipients.collect());
    Ok((number, table.with_unusable_rules(unfollowed)))
}

/// The usable rules, and the reasons why the others are not applied.
async fn load_rules(pool: &PgPool) -> Result<(Vec<Arc<Rule>>, Vec<UnusableRule>), StoreError> {
    let rows = sqlx::query!(
        r#"select id, spec as "spec: Json<serde_json::Value>", created_at, updated_at,
             disabled_reason
         from notification.rule order by id"#
    );
    let (mut rules, mut unfollowed) = (vec![], vec![]);
    for row in rows.fetch_all(pool).await? {
        let untouched = is_unmodified_default(row.id, row.created_at, row.updated_at);
        let spec = if untouched {
            Ok(rule::RuleSpec::default_visitor_rule())
        } else {
            serde_json::from_value(row.spec.0).map_err(|error| error.to_string())
        };
        let is_disabled = row.disabled_reason.is_some();
        let made = spec.and_then(|spec: rule::RuleSpec| {
            let active = spec.active && !is_disabled;
            let made = catch_panic(|| Rule::new(row.id, &rule::RuleSpec { active, ..spec }));
            made.map_err(|panic| panic.to_string())?
                .map_err(|error| error.to_string())
        });
        let reason = match made {
            Ok(rule) => {
                rules.push(rule);
                row.disabled_reason
            }
            Err(error) => {
                tracing::error!(
                    rule = %row.id,
                    error,
                    "a stored rule is invalid and is not applied; replace or delete it"
                );
                Some(format!("the rule is invalid: {error}"))
            }
        };
        unfollowed.extend(reason.map(|reason| UnusableRule {
            rule_id: row.id,
            reason,
        }));
    }
    Ok((rules, unfollowed))
}
