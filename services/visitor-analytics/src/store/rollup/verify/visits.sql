-- The visits of all sessions that overlap a day ($2) of a site ($1), as column blocks should have them.
with day as materialized (
    select $2::date::timestamp at time zone time_zone as start,
           ($2::date + 1)::timestamp at time zone time_zone as stop, properties as named
    from visitor_analytics.site where id = $1),
touched as materialized (
    select distinct v.session_id as id from visitor_analytics.visit v, day
    where v.site_id = $1 and v.timestamp >= day.start and v.timestamp < day.stop),
reach as materialized (
    select min(s.started_at) as earliest, max(s.last_seen_at) as latest
    from visitor_analytics.session s where s.id in (select id from touched))
select v.visitor_id, v.session_id, floor(extract(epoch from v.timestamp))::bigint as "at!",
       coalesce(floor(extract(epoch from lead(v.timestamp) over onward))
                - floor(extract(epoch from v.timestamp)), 0)::bigint as "seconds!",
       bool_or(v.is_bot) over whole as "of_bot!", v.is_bot, v.page_id, v.agent_id, v.verdict_id,
       coalesce(v.place_id, 0) as "place_id!", coalesce(v.network_id, 0) as "network_id!",
       v.language, coalesce(v.status_code, 0)::int as "status!",
       array(select name || '=' || left(v.properties ->> name, 200) from unnest(day.named) name
             where jsonb_typeof(v.properties -> name) in ('string', 'number', 'boolean')
             order by name collate "C") as "properties!",
       first_value(v.origin_id) over whole as "origin_id!",
       first_value(v.page_id) over whole as "entry_id!",
       last_value(v.page_id) over whole as "exit_id!"
from visitor_analytics.visit v cross join reach cross join day
where v.site_id = $1 and v.timestamp between reach.earliest and reach.latest
  and v.session_id in (select id from touched)
window onward as (partition by v.session_id order by v.timestamp, v.id),
       whole as (partition by v.session_id order by v.timestamp, v.id
           rows between unbounded preceding and unbounded following)
