//! Checks the contents of the database with plain SQL.

use std::path::Path;

use sqlx::types::Uuid;
use sqlx::{AssertSqlSafe, PgConnection};

use super::load::Sent;
use super::postgres::connect;
use super::replica::Settings;
use super::table::Table;
use crate::running::until;

/// Days that ended at least two hours ago; only these are folded.
const CLOSED: &str = "(day + 1)::timestamp at time zone 'UTC' + interval '2 hours' < now()";
const TOUCHED: &str = "(select distinct site_id, (timestamp at time zone 'UTC')::date as day
                        from visitor_analytics.visit) as touched";
const UNFOLDED: &str =
    "(site_id, day) in (select site_id, day from visitor_analytics.unfolded_day)";
const FOLDED: &str = "(site_id, day) in (select site_id, day from visitor_analytics.rollup_day)";

/// Makes closed days due for folding at once instead of after ten quiet minutes.
pub async fn fold_now(database: &mut PgConnection) {
    let hurry = format!("update visitor_analytics.unfolded_day set due_at = now() where {CLOSED}");
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
async fn rest(database: &mut PgConnection) {
    for left in ["owed_location", "outbox"] {
        let table = format!("visitor_analytics.{left}");
        until(&format!("nothing left in {left}"), async || {
            (count(database, &table).await == 0).then_some(())
        })
        .await;
    }
    let closed = format!("visitor_analytics.unfolded_day where {CLOSED}");
    until("all closed days folded", async || {
        let left = count(database, &closed).await;
        if left > 0 {
            fold_now(database).await;
        }
        (left == 0).then_some(())
    })
    .await;
}

/// Compares the sent data with the stored data.
pub async fn check(sent: &Sent, data_dir: &Path, settings: &Settings, table: &mut Table) {
    let database = &mut connect(data_dir).await;
    rest(database).await;
    visits(sent, database, table).await;
    sessions(sent, database, table).await;
    days(database, settings, table).await;
}

async fn visits(sent: &Sent, database: &mut PgConnection, table: &mut Table) {
    let ids: Vec<Uuid> = sent.visits.keys().copied().collect();
    let stored = count(database, "visitor_analytics.visit").await;
    table.must("visits stored", stored, number(ids.len()));
    let missing = "select count(*) from unnest($1::uuid[]) as sent (id)
                   where id not in (select id from visitor_analytics.visit)";
    let missing: i64 = sqlx::query_scalar(missing)
        .bind(&ids)
        .fetch_one(&mut *database)
        .await
        .unwrap();
    table.must("  missing", missing, 0);
    let twice = "(select from visitor_analytics.visit group by id having count(*) > 1) as t";
    table.must("  duplicates", count(database, twice).await, 0);
    let again = sent.visits.values().filter(|times| **times > 1).count();
    table.must("  acknowledged twice as `recorded`", number(again), 0);
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
    table.must("  incomplete", count(database, half).await, 0);
}

async fn sessions(sent: &Sent, database: &mut PgConnection, table: &mut Table) {
    let (defined, different): (i64, i64) = sqlx::query_as(include_str!("sessions.sql"))
        .fetch_one(&mut *database)
        .await
        .unwrap();
    table.count("sessions by definition", defined);
    table.must("  stored differently", different, 0);
    let arrivals = number(sent.arrivals);
    let announced = "visitor_analytics.session where announced";
    table.must(
        "sessions announced",
        count(database, announced).await,
        arrivals,
    );
    let told = "notification.notification where event = 'visitor.arrived'";
    table.must(
        "  received by notification",
        count(database, told).await,
        arrivals,
    );
    let once = "visitor_analytics.session where announced and 1 = (select count(*)
        from notification.notification where data->'session'->>'id' = session.id::text)";
    table.must(
        "  received exactly once",
        count(database, once).await,
        arrivals,
    );
}

async fn days(database: &mut PgConnection, settings: &Settings, table: &mut Table) {
    let open = format!("{TOUCHED} where not ({CLOSED})");
    let open = count(database, open).await;
    table.count("open days", open);
    let marked = format!("{TOUCHED} where not ({CLOSED}) and {UNFOLDED}");
    table.must("  marked as dirty", count(database, marked).await, open);
    let closed = count(database, format!("{TOUCHED} where {CLOSED}")).await;
    table.count("closed days", closed);
    let folded = format!("{TOUCHED} where {CLOSED} and {FOLDED} and not {UNFOLDED}");
    table.must("  folded", count(database, folded).await, closed);

    let said = settings.verify();
    let text = String::from_utf8_lossy(&said.stdout);
    let line = text.lines().find(|line| line.contains(" numbers: "));
    let counts = line.unwrap_or_else(|| panic!("verify: {text}"));
    // "6 days, 9675 numbers: all equal", or "2 differ" at the end.
    let counts = counts.split(' ').filter_map(|word| word.parse().ok());
    let counts: Vec<i64> = counts.collect();
    table.must("  verified", counts[0], closed);
    table.count("  numbers compared", counts[1]);
    let different = counts.get(2).copied().unwrap_or_default();
    table.must("  numbers that differ from the visits", different, 0);
    assert_eq!(said.status.success(), different == 0, "verify: {text}");
}

pub fn number(count: usize) -> i64 {
    i64::try_from(count).unwrap()
}
