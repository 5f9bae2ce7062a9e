-- The metrics of a day ($2) of a site ($1), computed from its visits.
with day as materialized (
    select $2::date::timestamp at time zone time_zone as start,
           ($2::date + 1)::timestamp at time zone time_zone as stop, time_zone, properties as named
    from visitor_analytics.site where id = $1),
touched as materialized (
    select distinct v.session_id as id from visitor_analytics.visit v, day
    where v.site_id = $1 and v.timestamp >= day.start and v.timestamp < day.stop),
reach as materialized (
    select min(s.started_at) as earliest, max(s.last_seen_at) as latest
    from visitor_analytics.session s where s.id in (select id from touched)),
visits as materialized (
    select v.id, v.timestamp, v.session_id, v.visitor_id, v.is_bot, v.status_code,
           v.language, v.timestamp at time zone day.time_zone as local_time,
           v.timestamp at time zone 'UTC' as utc_time, p.path, p.title, o.referrer,
           o.source, o.medium, o.channel, o.utm_source, o.utm_medium, o.utm_campaign,
           o.utm_term, o.utm_content, a.browser, a.browser_version, a.os, a.os_version,
           a.device_type, a.brand, l.country_code, l.region_code, l.city, n.as_organization,
           j.bot_name, j.category, j.reasons, v.properties, day.named
    from visitor_analytics.visit v cross join day cross join reach
    join visitor_analytics.page p on p.id = v.page_id
    join visitor_analytics.origin o on o.id = v.origin_id
    join visitor_analytics.agent a on a.id = v.agent_id
    join visitor_analytics.verdict j on j.id = v.verdict_id
    left join visitor_analytics.place l on l.id = v.place_id
    left join visitor_analytics.network n on n.id = v.network_id
    where v.site_id = $1 and v.timestamp between reach.earliest and reach.latest
      and v.session_id in (select id from touched)),
whole as materialized (
    select visits.*, bool_or(is_bot) over all_of_it as of_bot,
           count(*) over all_of_it as session_visits,
           coalesce(floor(extract(epoch from lead(timestamp) over onward))
                    - floor(extract(epoch from timestamp)), 0)::bigint as seconds,
           first_value(path) over all_of_it as entry_page,
           last_value(path) over all_of_it as exit_page,
           first_value(referrer) over all_of_it as entry_referrer,
           first_value(source) over all_of_it as entry_source,
           first_value(medium) over all_of_it as entry_medium,
           first_value(channel) over all_of_it as entry_channel,
           first_value(utm_source) over all_of_it as entry_utm_source,
           first_value(utm_medium) over all_of_it as entry_utm_medium,
           first_value(utm_campaign) over all_of_it as entry_utm_campaign,
           first_value(utm_term) over all_of_it as entry_utm_term,
           first_value(utm_content) over all_of_it as entry_utm_content
    from visits
    window onward as (partition by session_id order by timestamp, id),
           all_of_it as (partition by session_id order by timestamp, id
               rows between unbounded preceding and unbounded following)),
valued as materialized (
    select w.timestamp, w.visitor_id, w.of_bot, w.session_visits, w.seconds,
           x.dimension, x.value,
           row_number() over (partition by w.session_id, x.dimension, x.value
                              order by w.timestamp, w.id) = 1 as is_first
    from whole w cross join lateral (values
        (0, null), (1, w.path), (2, w.title), (3, w.entry_page), (4, w.exit_page),
        (5, w.entry_referrer), (6, w.entry_source), (7, w.entry_medium),
        (8, w.entry_channel), (9, w.entry_utm_source), (10, w.entry_utm_medium),
        (11, w.entry_utm_campaign), (12, w.entry_utm_term),
        (13, w.entry_utm_content), (14, w.country_code),
        (15, coalesce(w.country_code, '') || '-' || w.region_code),
        (16, coalesce(coalesce(w.country_code, '') || '-' || w.region_code,
                      w.country_code, '') || '/' || w.city),
        (17, w.browser),
        (18, coalesce(w.browser || ' ', '') || w.browser_version),
        (19, w.os), (20, coalesce(w.os || ' ', '') || w.os_version),
        (21, case when w.is_bot then 'bot' else w.device_type end),
        (22, w.language), (23, w.status_code::text),
        (24, to_char(w.local_time, 'HH24')
             || case when w.local_time < w.utc_time then '-' else '+' end
             || to_char(greatest(w.local_time - w.utc_time, w.utc_time - w.local_time),
                        'HH24:MI')),
        (25, w.bot_name), (27, w.as_organization), (28, w.brand), (29, w.category)
      union all select distinct 26, reason
      from unnest(case w.reasons when '{}' then array[null] else w.reasons end) reason
      union all select 30, name || '=' || left(w.properties ->> name, 200)
      from unnest(w.named) name
      where jsonb_typeof(w.properties -> name) in ('string', 'number', 'boolean')
    ) as x (dimension, value))
select dimension as "dimension!", of_bot as "is_bot!", value, count(*) as "visits!",
       count(distinct visitor_id) as "visitors!",
       count(*) filter (where is_first) as "sessions!",
       count(*) filter (where is_first and session_visits = 1) as "bounces!",
       sum(seconds)::bigint as "seconds!"
from valued, day where timestamp >= day.start and timestamp < day.stop
group by dimension, of_bot, value
