//! Bot verdicts with their reasons.

use bot_detection::{BotCategory, BotVerdict, RULESET_VERSION};
use chassis::database::StoreError;
use sqlx::PgConnection;
use uuid::Uuid;

use super::table::{DimensionId, DimensionTable, bytes, column, key};

pub(super) struct VerdictTable;

/// Joins the codes in one text, since PostgreSQL's arrays of arrays are rectangular.
fn reasons(verdict: &BotVerdict) -> String {
    let codes: Vec<_> = verdict.reasons.iter().map(|r| r.code()).collect();
    codes.join(" ")
}

fn category(verdict: &BotVerdict) -> Option<&'static str> {
    verdict.category.map(BotCategory::as_str)
}

impl DimensionTable for VerdictTable {
    type Value = BotVerdict;

    fn key(verdict: &BotVerdict) -> Option<Uuid> {
        Some(key([
            Some(&i16::from(verdict.is_bot).to_be_bytes()),
            Some(&i16::from(verdict.score).to_be_bytes()),
            Some(&RULESET_VERSION.to_be_bytes()),
            bytes(verdict.name.as_ref()),
            Some(reasons(verdict).as_bytes()),
            category(verdict).map(str::as_bytes),
        ]))
    }

    async fn insert_missing(
        connection: &mut PgConnection,
        keys: &[Uuid],
        verdicts: &[&BotVerdict],
    ) -> Result<Vec<DimensionId>, StoreError> {
        let bots: Vec<bool> = column(verdicts, |v| v.is_bot);
        let scores: Vec<i16> = column(verdicts, |v| i16::from(v.score));
        let reasons: Vec<String> = column(verdicts, reasons);
        let names = column(verdicts, |v| v.name.as_deref());
        let categories = column(verdicts, category);
        let ids = sqlx::query_as!(
            DimensionId,
            r#"with added as (
                   insert into visitor_analytics.verdict (key, is_bot, score, reasons, bot_name,
                       category, ruleset)
                   select key, is_bot, score,
                       coalesce(string_to_array(nullif(reasons, ''), ' '), '{}'), bot_name,
                       category, $7
                   from unnest($1::uuid[], $2::bool[], $3::smallint[], $4::text[], $5::text[],
                       $6::text[])
                       as n (key, is_bot, score, reasons, bot_name, category)
                   on conflict on constraint verdict_key_key do nothing
                   returning key, id)
               select key as "key!", id as "id!" from added
               union all
               select key, id from visitor_analytics.verdict where key = any($1)"#,
            keys,
            &bots,
            &scores,
            &reasons,
            &names as _,
            &categories as _,
            RULESET_VERSION.cast_signed(),
        );
        Ok(ids.fetch_all(connection).await?)
    }
}
