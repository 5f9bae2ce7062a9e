-- Recomputes the sessions from the visits (a visitor's visits on a site with gaps under 30 minutes).
-- Returns the number of stored sessions and the number of differences.
with parted as (
    select *, coalesce("timestamp" - lag("timestamp") over one >= interval '30 minutes', true)
              as begins
    from visitor_analytics.visit
    window one as (partition by site_id, visitor_id order by "timestamp", id)),
numbered as (
    select *, count(*) filter (where begins) over one as number from parted
    window one as (partition by site_id, visitor_id order by "timestamp", id
                   rows unbounded preceding)),
defined as (
    select site_id, visitor_id, min("timestamp") as started_at, max("timestamp") as last_seen_at,
           (array_agg(id order by "timestamp", id))[1] as entry_visit_id,
           (array_agg(id order by "timestamp" desc, id desc))[1] as exit_visit_id,
           count(*) as visits, bool_or(is_bot) as is_bot,
           min(session_id::text)::uuid as id, count(distinct session_id) as ids
    from numbered group by site_id, visitor_id, number)
select count(d.id), count(*) filter (where d.id is null or s.id is null or d.ids > 1
        or (d.site_id, d.visitor_id, d.started_at, d.last_seen_at, d.entry_visit_id,
            d.exit_visit_id, d.visits, d.is_bot)
           is distinct from
           (s.site_id, s.visitor_id, s.started_at, s.last_seen_at, s.entry_visit_id,
            s.exit_visit_id, s.visits::bigint, s.is_bot))
from defined d full join visitor_analytics.session s on s.id = d.id
