-- Generates about :visits visits of 90 days on three sites with a realistic skew: a few pages, places
-- and browsers have most of the visits, the hours of a day differ, and one session in six is a bot's.
-- :visitor_id is an expression of the site, the day and `who`. The partitions of the months must exist. All values derive from one seed.
set synchronous_commit = off;
set work_mem = '256MB';
select setseed(0.5);

insert into visitor_analytics.site (domain, created_at, time_zone) values
    ('shop.example', now(), 'Europe/Berlin'), ('blog.example', now(), 'UTC'),
    ('docs.example', now(), 'America/New_York');

insert into visitor_analytics.page (key, base, path, title)
select gen_random_uuid(), 'https://shop.example/p/' || n, '/p/' || n, 'Page ' || n
from generate_series(1, 2000) n;

insert into visitor_analytics.origin (key, referrer, source, medium, channel, utm_campaign)
select gen_random_uuid(), case when n > 1 then 'https://site' || n || '.example/story' end,
    case when n > 1 then 'site' || n || '.example' else '(direct)' end,
    case when n > 1 then 'referral' else '(none)' end,
    (array['Direct', 'Referral', 'Organic Search', 'Organic Social', 'Email'])[1 + n % 5],
    case when n % 7 = 0 then 'campaign-' || n end
from generate_series(1, 400) n;

insert into visitor_analytics.agent
    (key, user_agent, browser, browser_version, os, os_version, device_type)
select gen_random_uuid(), 'agent ' || n, 'Browser ' || n % 8, (100 + n % 60) || '.0',
    'System ' || n % 5, (10 + n % 12)::text,
    (array['desktop', 'smartphone', 'tablet'])[1 + n % 3]
from generate_series(1, 1500) n;

insert into visitor_analytics.place
    (key, country_code, country, region_code, region, city, latitude, longitude, time_zone)
select gen_random_uuid(), 'C' || n / 60, 'Country ' || n / 60, 'R' || n / 10, 'Region ' || n / 10,
    'City ' || n, n % 90, n % 180, 'UTC'
from generate_series(1, 3000) n;

insert into visitor_analytics.network (key, asn, as_organization)
select gen_random_uuid(), n, 'Network ' || n from generate_series(1, 500) n;

insert into visitor_analytics.verdict (key, is_bot, score, reasons, bot_name, ruleset)
select gen_random_uuid(), n > 1, case when n > 1 then 100 else 0 end,
    case when n > 1 then array['known_crawler'] else '{}' end,
    case when n > 1 then 'Bot ' || n end, 1
from generate_series(1, 10) n;

create unlogged table visitor_analytics.made as
select gen_random_uuid() as id, started_at, n, site_id, is_bot, agent, place, network, origin,
    :visitor_id as visitor_id
from (
    select case when r.site < 0.6 then 1 when r.site < 0.9 then 2 else 3 end as site_id,
        r.bot < 0.16 as is_bot,
        date '2026-08-22' + (90 * r.day)::int
            + interval '1 second' * floor(86400 * (0.3 * r.hour + 0.7 * (0.5 + (r.hour - 0.5) ^ 3 * 4)))
            as started_at,
        1 + floor(-1.55 * ln(1 - r.n))::int as n,
        floor(r.who * (:visits / 90.0 / 3)) as who,
        1 + floor(1500 * r.agent ^ 4)::int as agent, 1 + floor(3000 * r.place ^ 3)::int as place,
        1 + floor(500 * r.network ^ 3)::int as network, 1 + floor(400 * r.origin ^ 4)::int as origin
    from (select random() as site, random() as bot, random() as day, random() as hour,
              random() as n, random() as who, random() as agent, random() as place,
              random() as network, random() as origin
          from generate_series(1, (:visits / 2.1)::int)) r
) s order by started_at;

insert into visitor_analytics.visit (id, "timestamp", received_at, session_id, site_id, page_id,
    origin_id, agent_id, verdict_id, place_id, network_id, status_code, is_bot, visitor_id, method,
    language)
select gen_random_uuid(), started_at + interval '37 seconds' * (k - 1), started_at, id, site_id,
    1 + floor(2000 * random() ^ 3)::int, case when k = 1 then origin else 1 end, agent,
    case when is_bot then 2 + agent % 9 else 1 end, place, network,
    case when random() < 0.03 then 404 else 200 end, is_bot, visitor_id, 'GET',
    (array['en-GB', 'en-US', 'de', 'fr', 'es', 'pt-BR'])[1 + agent % 6]
from visitor_analytics.made, generate_series(1, n) k;

insert into visitor_analytics.session (id, site_id, visitor_id, started_at, last_seen_at,
    entry_visit_id, exit_visit_id, visits, is_bot, announced)
select m.id, m.site_id, m.visitor_id, m.started_at, m.started_at + interval '37 seconds' * (m.n - 1),
    m.id, m.id, m.n, m.is_bot, true
from visitor_analytics.made m;

drop table visitor_analytics.made;

insert into visitor_analytics.unfolded_day (site_id, day, due_at)
select distinct s.id, (v.timestamp at time zone s.time_zone)::date, timestamptz '2026-08-01'
from visitor_analytics.visit v join visitor_analytics.site s on s.id = v.site_id;
