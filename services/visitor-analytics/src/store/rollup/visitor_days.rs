//! The visitors of folded days, in the table `column_block`.

use chassis::database::StoreError;
use chrono::NaiveDate;
use futures::TryStreamExt as _;
use rollups::distinct_visitors::encode_sketches;

use super::rollup_store::RollupStore;
use crate::domain::visitor_id_kind::{VisitorIdCounter, VisitorIdKinds};

/// What is stored about the visitors of a day.
#[derive(Clone, Copy, Debug)]
pub struct VisitorDay {
    pub date: NaiveDate,
    pub visitor_ids: VisitorIdKinds,
    /// The size of the list of visitors.
    pub list_bytes: usize,
}

/// The visitors of a part of a day.
#[derive(Clone, Debug)]
pub enum StoredVisitors {
    /// See [`rollups::cohort::encode_visitors`].
    List(Vec<u8>),
    /// A sketch of people or of bots, see [`encode_sketches`].
    Sketch { bytes: Vec<u8>, is_bot: bool },
}

impl RollupStore {
    /// The folded days of a site from `first` to `last`, inclusive, whose visitors are stored.
    pub async fn visitor_days(
        &self,
        site_id: i32,
        (first, last): (NaiveDate, NaiveDate),
    ) -> Result<Vec<VisitorDay>, StoreError> {
        let rows = sqlx::query!(
            r#"select day, bit_or(coalesce(visitor_ids, $4)) as visitor_ids,
                      sum(octet_length(visitors)) as "list_bytes!"
               from visitor_analytics.column_block
               where site_id = $1 and day between $2 and $3
               group by day having count(visitors) = count(*) order by day"#,
            site_id,
            first,
            last,
            VisitorIdKinds::from_stored(None).to_stored(),
        );
        let rows = rows.fetch_all(&self.pool).await?.into_iter();
        let days = rows.map(|row| VisitorDay {
            date: row.day,
            visitor_ids: VisitorIdKinds::from_stored(row.visitor_ids),
            list_bytes: usize::try_from(row.list_bytes).unwrap_or(usize::MAX),
        });
        Ok(days.collect())
    }

    /// Passes the visitors of each of these days to `take`: the sketches of the classes in
    /// `sketches` (people, bots), if stored, or else the list. Stops with an error if it returns
    /// `None`, which means corrupt data.
    pub async fn for_each_visitor_day(
        &self,
        site_id: i32,
        dates: &[NaiveDate],
        sketches: [bool; 2],
        mut take: impl FnMut(NaiveDate, StoredVisitors) -> Option<()>,
    ) -> Result<(), StoreError> {
        let rows = sqlx::query!(
            "select day, case when $3 then people_sketch end as people,
                    case when $4 then bots_sketch end as bots,
                    case when not ($3 or $4) or people_sketch is null then visitors end as list
             from visitor_analytics.column_block where site_id = $1 and day = any($2)",
            site_id,
            dates,
            sketches[0],
            sketches[1],
        );
        let mut rows = rows.fetch(&self.pool);
        while let Some(row) = rows.try_next().await? {
            let sketch = |bytes, is_bot| StoredVisitors::Sketch { bytes, is_bot };
            let stored = [
                row.list.map(StoredVisitors::List),
                row.people.map(|bytes| sketch(bytes, false)),
                row.bots.map(|bytes| sketch(bytes, true)),
            ];
            let mut stored = stored.into_iter().flatten();
            let taken = stored.try_for_each(|visitors| take(row.day, visitors));
            taken.ok_or(StoreError::Corrupt("the visitors of a day"))?;
        }
        Ok(())
    }

    /// The visitor lists of a site's days from `first` to `last`, inclusive. Returns `None` if they
    /// exceed `max_bytes`.
    pub async fn visitor_lists(
        &self,
        site_id: i32,
        period: (NaiveDate, NaiveDate),
        max_bytes: usize,
    ) -> Result<Option<Vec<(NaiveDate, Vec<u8>)>>, StoreError> {
        let days = self.visitor_days(site_id, period).await?;
        if days.iter().map(|day| day.list_bytes).sum::<usize>() > max_bytes {
            return Ok(None);
        }
        let dates: Vec<NaiveDate> = days.iter().map(|day| day.date).collect();
        let mut lists = vec![];
        self.for_each_visitor_day(site_id, &dates, [false; 2], |date, visitors| {
            if let StoredVisitors::List(list) = visitors {
                lists.push((date, list));
            }
            Some(())
        })
        .await?;
        Ok(Some(lists))
    }

    /// Adds to a day that an earlier version folded what that version did not store. Returns
    /// `false` if there is no such day.
    pub async fn complete_old_day(&self) -> Result<bool, StoreError> {
        let day = sqlx::query!(
            "select site_id, day from visitor_analytics.column_block
             where visitor_ids is null limit 1",
        );
        let Some(day) = day.fetch_optional(&self.pool).await? else {
            return Ok(false);
        };
        let kinds = self.read_visitor_id_kinds(day.site_id, day.day).await?;
        let parts = sqlx::query!(
            "select part, visitors from visitor_analytics.column_block
             where site_id = $1 and day = $2 and visitor_ids is null",
            day.site_id,
            day.day,
        );
        for row in parts.fetch_all(&self.pool).await? {
            let sketches = row.visitors.as_deref().and_then(encode_sketches);
            let [people_sketch, bots_sketch] =
                sketches.map_or([None, None], |sketches| sketches.map(Some));
            // A day that is folded meanwhile has its kinds and keeps what the fold wrote.
            sqlx::query!(
                "update visitor_analytics.column_block
                 set visitor_ids = $4, people_sketch = $5, bots_sketch = $6
                 where site_id = $1 and day = $2 and part = $3 and visitor_ids is null",
                day.site_id,
                day.day,
                row.part,
                kinds.to_stored(),
                people_sketch,
                bots_sketch,
            )
            .execute(&self.pool)
            .await?;
        }
        Ok(true)
    }

    async fn read_visitor_id_kinds(
        &self,
        site_id: i32,
        date: NaiveDate,
    ) -> Result<VisitorIdKinds, StoreError> {
        let day = self.local_day(site_id, date).await?;
        let mut visits = sqlx::query!(
            "select id, visitor_id, timestamp from visitor_analytics.visit
             where site_id = $1 and timestamp >= $2 and timestamp < $3",
            site_id,
            day.from,
            day.to,
        )
        .fetch(&self.pool);
        let mut counter = VisitorIdCounter::default();
        while let Some(visit) = visits.try_next().await? {
            counter.add(&visit.visitor_id, visit.id, visit.timestamp);
        }
        Ok(counter.kinds())
    }
}
