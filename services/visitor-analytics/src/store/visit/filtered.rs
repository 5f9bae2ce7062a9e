//! Lists visits that pass filters.

use chassis::database::StoreError;
use chrono::{DateTime, Utc};
use common::visitor_analytics::Visit;
use sqlx::{Postgres, QueryBuilder};
use uuid::Uuid;

use super::row::{VisitRow, select_visits};
use super::{VisitKey, VisitList, VisitQuery};
use crate::store::{VisitStore, filter_sql};

impl VisitStore {
    /// Lists visits that pass the filters, newest first. The first statement selects ids, the
    /// second one loads the visits.
    pub(super) async fn filtered(&self, query: &VisitQuery) -> Result<VisitList, StoreError> {
        let mut select = QueryBuilder::<Postgres>::new(
            "select v.id, v.timestamp from visitor_analytics.site of cross join lateral (
                 select v.id, v.timestamp from visitor_analytics.visit v
                 where v.site_id = of.id",
        );
        push_page_conditions(&mut select, query);
        if let Some(is_bot) = query.bots.required_is_bot() {
            select.push(" and v.is_bot = ").push_bind(is_bot);
        }
        push_filters_and_order(&mut select, query);
        let mut keys: Vec<VisitKey> = select.build_query_as().fetch_all(&self.pool).await?;
        let limit = usize::try_from(query.limit).unwrap_or_default();
        let more = keys.len() > limit;
        keys.truncate(limit);
        let (ids, moments): (Vec<Uuid>, Vec<DateTime<Utc>>) = keys.into_iter().unzip();
        let rows = select_visits!(
            "unnest($1::uuid[], $2::timestamptz[]) as k (id, moment)
             join visitor_analytics.visit v on v.id = k.id and v.timestamp = k.moment",
            "order by v.timestamp desc, v.id desc",
            &ids,
            &moments
        );
        let visits = rows.fetch_all(&self.pool).await?.into_iter();
        let visits = visits.map(Visit::try_from).collect::<Result<_, _>>()?;
        Ok(VisitList {
            visits,
            has_more: more,
        })
    }
}

/// Completes a statement that selects visits of each site: applies the filters, sorts and limits
/// per site, and then sorts and limits the result across sites.
pub(in crate::store) fn push_filters_and_order(
    select: &mut QueryBuilder<Postgres>,
    query: &VisitQuery,
) {
    let page = |select: &mut QueryBuilder<Postgres>| {
        select.push(" order by v.timestamp desc, v.id desc limit ");
        select.push_bind(query.limit + 1);
    };
    filter_sql::push_filters(select, &query.filters, query.zone);
    page(select);
    select.push(") v");
    if let Some(site) = &query.site {
        select.push(" where of.domain = ").push_bind(site.clone());
    }
    page(select);
}

/// Appends the conditions on period and page.
pub(in crate::store) fn push_page_conditions(
    select: &mut QueryBuilder<Postgres>,
    query: &VisitQuery,
) {
    if let Some(from) = query.from {
        select.push(" and v.timestamp >= ").push_bind(from);
    }
    if let Some(to) = query.to {
        select.push(" and v.timestamp < ").push_bind(to);
    }
    if let Some((timestamp, id)) = query.after {
        select.push(" and (v.timestamp, v.id) < (");
        select
            .push_bind(timestamp)
            .push(", ")
            .push_bind(id)
            .push(")");
    }
}
