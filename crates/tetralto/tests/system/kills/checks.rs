//! Checks the contents of the database with plain SQL.

use std::path::Path;

use sqlx::types::Uuid;
use sqlx::{AssertSqlSafe, PgConnection};

use super::load::SentRequests;
use super::postgres::connect;
use super::replica::ReplicaSettings;
use super::result_table::ResultTable;
use crate::running::wait_for;

/// Days that ended at least two hours ago; only these are folded.
const IS_CLOSED_DAY: &str = "(day + 1)::timestamp at time zone 'UTC' + interval '2 hours' < now()";
const TOUCHED_DAYS: &str = "(select distinct site_id, (timestamp at time zone 'UTC')::date as day
                        from visitor_analytics.visit) as touched";
const IS_DIRTY_DAY: &str =
    "(site_id, day) in (select site_id, day from visitor_analytics.unfolded_day)";
const IS_FOLDED_DAY: &str =
    "(site_id, day) in (select site_id, day from visitor_analytics.rollup_day)";

/// Makes closed days due for folding at once instead of after ten quiet minutes.
pub async fn fold_now(database: &mut PgConnection) {
    let hurry =
        format!("update visitor_analytics.unfolded_day set due_at = now() where {IS_CLOSED_DAY}");
    sqlx::query(AssertSqlSafe(hurry))
        .execute(database)
        .await
        .unwrap();
}

async fn count(database: &mut PgConnection, of: impl Into<String>) -> i64 {
    let statement = format!("select count(*) from {}", of.into());
    sqlx::query_scalar(AssertSqlSafe(statement))
        .fetch_one(database)
        .await
        .unwrap()
}

/// Waits until the workers are idle.
async fn wait_until_idle(database: &mut PgConnection) {
    for left in ["pending_location", "outbox"] {
        let table = format!("visitor_analytics.{left}");
        wait_for(&format!("nothing left in {left}"), async || {
            (count(database, &table).await == 0).then_some(())
        })
        .await;
    }
    let closed = format!("visitor_analytics.unfolded_day where {IS_CLOSED_DAY}");
    wait_for("all closed days folded", async || {
        let left = count(database, &closed).await;
        if left > 0 {
            fold_now(database).await;
        }
        (left == 0).then_some(())
    })
    .await;
}

/// Compares the sent data with the stored data.
pub async fn check_all(
    sent: &SentRequests,
    data_dir: &Path,
    settings: &ReplicaSettings,
    table: &mut ResultTable,
) {
    let database = &mut connect(data_dir).await;
    wait_until_idle(database).await;
    check_visits(sent, database, table).await;
    check_sessions(sent, database, table).await;
    check_days(database, settings, table).await;
}

async fn check_visits(sent: &SentRequests, database: &mut PgConnection, table: &mut ResultTable) {
    let ids: Vec<Uuid> = sent.visits.keys().copied().collect();
    let stored = count(database, "visitor_analytics.visit").await;
    table.expect("visits stored", stored, number(ids.len()));
    let missing = "select count(*) from unnest($1::uuid[]) as sent (id)
                   where id not in (select id from visitor_analytics.visit)";
    let missing: i64 = sqlx::query_scalar(missing)
        .bind(&ids)
        .fetch_one(&mut *database)
        .await
        .unwrap();
    table.expect("  missing", missing, 0);
    let twice = "(select from visitor_analytics.visit group by id having count(*) > 1) as t";
    table.expect("  duplicates", count(database, twice).await, 0);
    let again = sent.visits.values().filter(|times| **times > 1).count();
    table.expect("  acknowledged twice as `recorded`", number(again), 0);
    let half = "visitor_analytics.visit v
        left join visitor_analytics.site w on w.id = v.site_id
        left join visitor_analytics.page p on p.id = v.page_id
        left join visitor_analytics.origin o on o.id = v.origin_id
        left join visitor_analytics.agent a on a.id = v.agent_id
        left join visitor_analytics.verdict j on j.id = v.verdict_id
        left join visitor_analytics.session s on s.id = v.session_id
        where num_nulls(w.id, p.id, o.id, a.id, j.id, s.id) > 0
           or (v.place_id is not null and not exists
               (select from visitor_analytics.place where id = v.place_id))";
    table.expect("  incomplete", count(database, half).await, 0);
}

async fn check_sessions(sent: &SentRequests, database: &mut PgConnection, table: &mut ResultTable) {
    let (defined, different): (i64, i64) = sqlx::query_as(include_str!("sessions.sql"))
        .fetch_one(&mut *database)
        .await
        .unwrap();
    table.count("sessions by definition", defined);
    table.expect("  stored differently", different, 0);
    let arrivals = number(sent.arrivals);
    let announced = "visitor_analytics.session where announced";
    table.expect(
        "sessions announced",
        count(database, announced).await,
        arrivals,
    );
    let told = "notification.notification where event = 'visitor.arrived'";
    table.expect(
        "  received by notification",
        count(database, told).await,
        arrivals,
    );
    let once = "visitor_analytics.session where announced and 1 = (select count(*)
        from notification.notification where data->'session'->>'id' = session.id::text)";
    table.expect(
        "  received exactly once",
        count(database, once).await,
        arrivals,
    );
}

async fn check_days(
    database: &mut PgConnection,
    settings: &ReplicaSettings,
    table: &mut ResultTable,
) {
    let open = format!("{TOUCHED_DAYS} where not ({IS_CLOSED_DAY})");
    let open = count(database, open).await;
    table.count("open days", open);
    let marked = format!("{TOUCHED_DAYS} where not ({IS_CLOSED_DAY}) and {IS_DIRTY_DAY}");
    table.expect("  marked as dirty", count(database, marked).await, open);
    let closed = count(database, format!("{TOUCHED_DAYS} where {IS_CLOSED_DAY}")).await;
    table.count("closed days", closed);
    let folded =
        format!("{TOUCHED_DAYS} where {IS_CLOSED_DAY} and {IS_FOLDED_DAY} and not {IS_DIRTY_DAY}");
    table.expect("  folded", count(database, folded).await, closed);

    let said = settings.verify();
    let text = String::from_utf8_lossy(&said.stdout);
    let line = text.lines().find(|line| line.contains(" numbers: "));
    let counts = line.unwrap_or_else(|| panic!("verify: {text}"));
    // "6 days, 9675 numbers: all equal", or "2 differ" at the end.
    let counts = counts.split(' ').filter_map(|word| word.parse().ok());
    let counts: Vec<i64> = counts.collect();
    table.expect("  verified", counts[0], closed);
    table.count("  numbers compared", counts[1]);
    let different = counts.get(2).copied().unwrap_or_default();
    table.expect("  numbers that differ from the visits", different, 0);
    assert_eq!(said.status.success(), different == 0, "verify: {text}");
}

pub fn number(count: usize) -> i64 {
    i64::try_from(count).unwrap()
}
