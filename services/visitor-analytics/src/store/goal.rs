//! Goals: list, add and remove, and the events that reach them.

use chassis::database::StoreError;
use chrono::{DateTime, TimeDelta, Utc};
use futures::TryStreamExt as _;
use rollups::goal::EventTimes;
use rollups::query::ReportPeriod;
use sqlx::PgPool;
use uuid::Uuid;

use super::rollup::visitor_hash;
use super::segment::UpsertOutcome;
use crate::domain::goal::GoalTarget;

const MAX_GOALS_PER_SITE: i64 = 20;
/// Events that a report holds in memory.
const MAX_GOAL_EVENTS: usize = 1_000_000;
/// Few sessions that overlap a period begin or end further from it.
const EVENT_MARGIN: TimeDelta = TimeDelta::days(1);

#[derive(Clone, Debug)]
pub struct Goal {
    pub id: Uuid,
    pub site: String,
    pub name: String,
    /// A pattern of paths, for a page goal.
    pub page: Option<String>,
    /// For an event goal.
    pub event_type: Option<String>,
    /// The value of one conversion.
    pub value: Option<f64>,
    pub created_at: DateTime<Utc>,
}

/// Goals of sites.
#[derive(Clone, Debug)]
pub struct GoalStore {
    pub(super) pool: PgPool,
}

impl GoalStore {
    /// The goals of a site or of all sites, by site and name.
    pub async fn list(&self, site: Option<&str>) -> Result<Vec<Goal>, StoreError> {
        let goals = sqlx::query_as!(
            Goal,
            "select g.id, s.domain as site, g.name, g.page, g.event_type, g.value, g.created_at
             from visitor_analytics.goal g
             join visitor_analytics.site s on s.id = g.site_id
             where $1::text is null or s.domain = $1
             order by s.domain, g.name limit 10000",
            site,
        );
        Ok(goals.fetch_all(&self.pool).await?)
    }

    /// Adds a goal, unless the site is unknown, has a goal of this name, or has the maximum number
    /// of goals.
    pub async fn add(
        &self,
        (id, site, name): (Uuid, &str, &str),
        target: &GoalTarget,
        value: Option<f64>,
        now: DateTime<Utc>,
    ) -> Result<UpsertOutcome<Goal>, StoreError> {
        let (page, event_type) = match target {
            GoalTarget::Page(page) => (Some(page.as_str()), None),
            GoalTarget::Event(kind) => (None, Some(kind.as_str())),
        };
        let site_goals = sqlx::query!(
            r#"select s.id, (select count(*) from visitor_analytics.goal g
                             where g.site_id = s.id) as "goals!"
               from visitor_analytics.site s where s.domain = $1"#,
            site,
        );
        let Some(site_goals) = site_goals.fetch_optional(&self.pool).await? else {
            return Ok(UpsertOutcome::NotFound);
        };
        if site_goals.goals >= MAX_GOALS_PER_SITE {
            return Ok(UpsertOutcome::LimitReached);
        }
        let added = sqlx::query_as!(
            Goal,
            r#"insert into visitor_analytics.goal
                   (id, site_id, name, page, event_type, value, created_at)
               values ($1, $2, $3, $4, $5, $6, $7) on conflict on constraint goal_name_key do nothing
               returning id, $8::text as "site!", name, page, event_type, value, created_at"#,
            id,
            site_goals.id,
            name,
            page,
            event_type,
            value,
            now,
            site,
        );
        let added = added.fetch_optional(&self.pool).await?;
        Ok(added.map_or(UpsertOutcome::NameTaken, UpsertOutcome::Saved))
    }

    /// Removes a goal. Returns whether it existed.
    pub async fn remove(&self, id: Uuid) -> Result<bool, StoreError> {
        let removed = sqlx::query!("delete from visitor_analytics.goal where id = $1", id);
        Ok(removed.execute(&self.pool).await?.rows_affected() > 0)
    }

    /// The times of all events of a type by visitor, in a period and a day around it. Returns
    /// `None` if there are more than a report can hold.
    pub async fn event_times(
        &self,
        site_id: i32,
        period: &ReportPeriod,
        event_type: &str,
    ) -> Result<Option<EventTimes>, StoreError> {
        let rows = sqlx::query!(
            "select visitor_id, timestamp from visitor_analytics.event
             where site_id = $1 and timestamp >= $2 and timestamp < $3 and event_type = $4
             order by timestamp",
            site_id,
            period.from - EVENT_MARGIN,
            period.to + EVENT_MARGIN,
            event_type,
        );
        let (mut rows, mut happened, mut count) = (rows.fetch(&self.pool), EventTimes::new(), 0);
        while let Some(row) = rows.try_next().await? {
            count += 1;
            if count > MAX_GOAL_EVENTS {
                return Ok(None);
            }
            let moments = happened.entry(visitor_hash(&row.visitor_id)).or_default();
            moments.push(row.timestamp.timestamp());
        }
        Ok(Some(happened))
    }
}
