//! Visits: lookup and lists.

mod columns;
mod engagement;
mod export;
mod filtered;
mod foreign_ids;
mod key;
mod of_visitor;
mod replay;
pub(super) mod row;
use std::collections::HashMap;

use chassis::database::StoreError;
use chrono::{DateTime, TimeDelta, Utc};
use chrono_tz::Tz;
use common::clock::timestamp_of;
use common::visitor_analytics::Visit;
use rollups::query::AttributeFilter;
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

pub(super) use columns::VisitColumns;
pub use export::ExportQuery;
pub(super) use filtered::{push_filters_and_order, push_page_conditions};
pub(super) use key::{VisitKey, key};
pub use of_visitor::VisitorVisit;
use row::{VisitRow, select_visits};

use super::SiteLookup;

/// The part of a stored visit that a response to a duplicate contains.
#[expect(clippy::struct_field_names, reason = "the columns' names")]
pub(super) struct ExistingVisit {
    pub(super) site_id: i32,
    pub(super) session_id: Uuid,
    pub(super) visitor_id: String,
}

/// Looks up visits that are stored already.
pub(super) async fn find_existing(
    connection: &mut PgConnection,
    visits: &[VisitKey],
) -> Result<HashMap<VisitKey, ExistingVisit>, StoreError> {
    if visits.is_empty() {
        return Ok(HashMap::new());
    }
    let (ids, moments): (Vec<Uuid>, Vec<DateTime<Utc>>) = visits.iter().copied().unzip();
    let rows = sqlx::query!(
        r#"select v.id, v.timestamp, v.site_id, v.session_id, v.visitor_id
           from unnest($1::uuid[], $2::timestamptz[]) as n (id, moment)
           join visitor_analytics.visit v on v.id = n.id and v.timestamp = n.moment"#,
        &ids,
        &moments,
    )
    .fetch_all(connection)
    .await?;
    let known = rows.into_iter().map(|row| {
        let known = ExistingVisit {
            site_id: row.site_id,
            session_id: row.session_id,
            visitor_id: row.visitor_id,
        };
        ((row.id, row.timestamp), known)
    });
    Ok(known.collect())
}

/// Selects visits. They are listed newest first.
#[derive(Clone, Debug)]
pub struct VisitQuery {
    pub site: Option<String>,
    /// Inclusive.
    pub from: Option<DateTime<Utc>>,
    /// Exclusive.
    pub to: Option<DateTime<Utc>>,
    pub bots: BotFilter,
    /// Only visits after this one, in the order of the list.
    pub after: Option<(DateTime<Utc>, Uuid)>,
    pub limit: i64,
    /// Visits must pass all of them.
    pub filters: Vec<AttributeFilter>,
    /// The time zone of filters by hour and weekday.
    pub zone: Tz,
}

/// Whether visits of bots are included.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BotFilter {
    /// Only people.
    #[default]
    Exclude,
    /// People and bots.
    Include,
    /// Only bots.
    Only,
}

impl BotFilter {
    /// The required value of `is_bot`, if any.
    #[must_use]
    pub fn required_is_bot(self) -> Option<bool> {
        match self {
            Self::Exclude => Some(false),
            Self::Include => None,
            Self::Only => Some(true),
        }
    }
}

/// A page of a list of visits.
#[derive(Clone, Debug)]
pub struct VisitList {
    /// Newest first.
    pub visits: Vec<Visit>,
    /// Whether more visits follow.
    pub has_more: bool,
}

/// Stored visits.
#[derive(Clone, Debug)]
pub struct VisitStore {
    pub(super) pool: PgPool,
}

impl VisitStore {
    /// Finds a visit by id on one of these sites (`None`: on any). Searches around the time in the
    /// id first, where most visits are. If several visits have the id, returns the one that was
    /// recorded first.
    pub async fn find(
        &self,
        id: Uuid,
        sites: Option<&[String]>,
    ) -> Result<SiteLookup<Visit>, StoreError> {
        let around = timestamp_of(id).and_then(|moment| {
            let day = TimeDelta::days(1);
            Some((
                moment.checked_sub_signed(day)?,
                moment.checked_add_signed(day)?,
            ))
        });
        if let Some((from, to)) = around
            && let Some(found) = self.find_between(id, sites, from, to).await?
        {
            return Ok(SiteLookup::Found(found));
        }
        let row = select_visits!(
            "visitor_analytics.visit v",
            "where v.id = $1 and ($2::text[] is null or s.domain = any($2))
             order by v.received_at, v.timestamp limit 1",
            id,
            sites
        );
        match row.fetch_optional(&self.pool).await? {
            Some(row) => Ok(SiteLookup::Found(Visit::try_from(row)?)),
            None => Ok(SiteLookup::not_found(
                sites.is_some() && self.exists(id).await?,
            )),
        }
    }

    /// Whether any site has a visit with this id.
    pub(super) async fn exists(&self, id: Uuid) -> Result<bool, StoreError> {
        let exists = sqlx::query_scalar!(
            r#"select exists (select from visitor_analytics.visit where id = $1) as "exists!""#,
            id
        );
        Ok(exists.fetch_one(&self.pool).await?)
    }

    async fn find_between(
        &self,
        id: Uuid,
        sites: Option<&[String]>,
        from: DateTime<Utc>,
        to: DateTime<Utc>,
    ) -> Result<Option<Visit>, StoreError> {
        let row = select_visits!(
            "visitor_analytics.visit v",
            "where v.id = $1 and ($2::text[] is null or s.domain = any($2))
               and v.timestamp between $3 and $4
             order by v.received_at, v.timestamp limit 1",
            id,
            sites,
            from,
            to
        );
        let row = row.fetch_optional(&self.pool).await?;
        row.map(Visit::try_from).transpose()
    }

    /// The visits with these keys, in any order. Missing visits are omitted.
    pub(super) async fn by_key(&self, keys: &[VisitKey]) -> Result<Vec<Visit>, StoreError> {
        let (ids, moments): (Vec<Uuid>, Vec<DateTime<Utc>>) = keys.iter().copied().unzip();
        let rows = select_visits!(
            "unnest($1::uuid[], $2::timestamptz[]) as k (id, moment)
             join visitor_analytics.visit v on v.id = k.id and v.timestamp = k.moment",
            "",
            &ids,
            &moments
        );
        let rows = rows.fetch_all(&self.pool).await?;
        let visits = rows.into_iter().map(Visit::try_from);
        // Some callers send these visits to notification; IP addresses do not leave this service.
        let without_address = |visit| Visit { ip: None, ..visit };
        visits.map(|visit| visit.map(without_address)).collect()
    }

    /// Lists visits, newest first. The visits of each site are read in the order of the index.
    pub async fn list(&self, query: &VisitQuery) -> Result<VisitList, StoreError> {
        if !query.filters.is_empty() {
            return self.filtered(query).await;
        }
        let (after, after_id) = query.after.unzip();
        let rows = select_visits!(
            "visitor_analytics.site of cross join lateral (
                 select * from visitor_analytics.visit
                 where site_id = of.id
                   and timestamp >= coalesce($2::timestamptz, '-infinity')
                   and timestamp < coalesce($3::timestamptz, 'infinity')
                   and ($4::bool is null or is_bot = $4)
                   and ($5::timestamptz is null or (timestamp, id) < ($5, $6))
                 order by timestamp desc, id desc limit $7) v",
            "where $1::text is null or of.domain = $1
             order by v.timestamp desc, v.id desc limit $7",
            query.site.as_deref(),
            query.from,
            query.to,
            query.bots.required_is_bot(),
            after,
            after_id,
            query.limit + 1
        );
        let rows = rows.fetch_all(&self.pool).await?;
        let limit = usize::try_from(query.limit).unwrap_or_default();
        let more = rows.len() > limit;
        let visits = rows.into_iter().take(limit).map(Visit::try_from);
        Ok(VisitList {
            visits: visits.collect::<Result<_, _>>()?,
            has_more: more,
        })
    }
}
