//! Requests that ask notification to erase a person: the table `erasure_call`.

use std::collections::BTreeSet;

use chassis::database::StoreError;
use chrono::{DateTime, TimeDelta, Utc};
use common::notification::ErasureRequest;
use sqlx::PgConnection;
use sqlx::types::Json;

use super::person::Person;
use crate::store::erasure::erasure_store::ErasureStore;
use crate::store::session::VisitorKey;

/// A claimed call must be sent within this time; then another process may claim it.
const CALL_LEASE: TimeDelta = TimeDelta::seconds(30);
const MAX_VISITORS_PER_CALL: usize = 500;

/// A call to send, claimed for 30 seconds.
#[derive(Clone, Debug)]
pub struct ErasureCall {
    pub id: i64,
    pub request: ErasureRequest,
    /// The number of attempts, including this one.
    pub attempts: i32,
}

/// Queues the calls of an erasure, in its transaction.
pub(super) async fn insert(
    connection: &mut PgConnection,
    person: Person<'_>,
    keys: &[VisitorKey],
    site: Option<&str>,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    let mut visitors: BTreeSet<&str> = keys.iter().map(|(_, id)| id.as_str()).collect();
    if let Person::Visitor(id) = person {
        visitors.insert(id);
    }
    let visitors: Vec<String> = visitors.into_iter().map(str::to_owned).collect();
    let mut parts: Vec<&[String]> = visitors.chunks(MAX_VISITORS_PER_CALL).collect();
    if parts.is_empty() {
        parts.push(&[]);
    }
    let bodies = parts.into_iter().map(|visitors| {
        Json(ErasureRequest {
            visitor_ids: visitors.to_vec(),
            user_id: person.user_id().map(str::to_owned),
            site: site.map(str::to_owned),
            erased_at: now,
        })
    });
    let bodies: Vec<_> = bodies.collect();
    sqlx::query!(
        "insert into visitor_analytics.erasure_call (body, created_at, due_at)
         select body, $2, $2 from unnest($1::jsonb[]) body",
        &bodies as _,
        now,
    )
    .execute(connection)
    .await?;
    Ok(())
}

impl ErasureStore {
    /// Claims calls that are due. No other process claims them until the lease expires.
    pub async fn claim_calls(
        &self,
        now: DateTime<Utc>,
        limit: i64,
    ) -> Result<Vec<ErasureCall>, StoreError> {
        let rows = sqlx::query!(
            r#"update visitor_analytics.erasure_call c set due_at = $2, attempts = c.attempts + 1
               from (select id from visitor_analytics.erasure_call
                     where due_at <= $1 order by due_at limit $3 for update skip locked) d
               where c.id = d.id
               returning c.id, c.body as "body: Json<ErasureRequest>", c.attempts"#,
            now,
            now + CALL_LEASE,
            limit,
        );
        let rows = rows.fetch_all(&self.pool).await?.into_iter();
        let calls = rows.map(|row| ErasureCall {
            id: row.id,
            request: row.body.0,
            attempts: row.attempts,
        });
        Ok(calls.collect())
    }

    /// Removes a call that notification has answered.
    pub async fn delete_call(&self, id: i64) -> Result<(), StoreError> {
        sqlx::query!(
            "delete from visitor_analytics.erasure_call where id = $1",
            id
        )
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// Postpones a call until `due_at`. The number of attempts is unlimited.
    pub async fn postpone_call(
        &self,
        id: i64,
        due_at: DateTime<Utc>,
        error: &str,
    ) -> Result<(), StoreError> {
        sqlx::query!(
            "update visitor_analytics.erasure_call set due_at = $2, last_error = $3 where id = $1",
            id,
            due_at,
            error,
        )
        .execute(&self.pool)
        .await?;
        Ok(())
    }
}
