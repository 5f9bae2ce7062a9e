-- What many visits share is kept once, and a visit holds its number: a row becomes a quarter as
-- large, and what a report groups by is an integer. A value's key is the first half of the SHA-256
-- over its parts (each ended by the byte 254, a missing one is the byte 255, numbers as their bits).
-- There are no foreign keys: checking six for each visit would cost more than the visit itself.

-- The visits as they were are copied at the end, and then deleted.
create schema visitor_analytics_before;
do $$
declare part regclass;
begin
    for part in select inhrelid::regclass from pg_inherits
        where inhparent = 'visitor_analytics.visit'::regclass
    loop
        execute format('alter table %s set schema visitor_analytics_before', part);
    end loop;
end $$;
alter table visitor_analytics.visit set schema visitor_analytics_before;

create table visitor_analytics.page (
    id integer generated always as identity,
    key uuid not null,
    -- The URL up to its query.
    base text not null,
    path text not null,
    title text,
    constraint page_pkey primary key (id),
    constraint page_key_key unique (key)
);

-- What led to a page.
create table visitor_analytics.origin (
    id integer generated always as identity,
    key uuid not null,
    referrer text,
    source text not null,
    medium text not null,
    channel text,
    utm_source text,
    utm_medium text,
    utm_campaign text,
    utm_term text,
    utm_content text,
    constraint origin_pkey primary key (id),
    constraint origin_key_key unique (key)
);

-- A user agent, read.
create table visitor_analytics.agent (
    id integer generated always as identity,
    key uuid not null,
    user_agent text not null,
    browser text,
    browser_version text,
    os text,
    os_version text,
    device_type text not null,
    constraint agent_pkey primary key (id),
    constraint agent_key_key unique (key)
);

create table visitor_analytics.place (
    id integer generated always as identity,
    key uuid not null,
    country_code text,
    country text,
    region_code text,
    region text,
    city text,
    latitude double precision,
    longitude double precision,
    time_zone text,
    constraint place_pkey primary key (id),
    constraint place_key_key unique (key)
);

-- Who runs the visitor's network.
create table visitor_analytics.network (
    id integer generated always as identity,
    key uuid not null,
    asn bigint,
    as_organization text,
    constraint network_pkey primary key (id),
    constraint network_key_key unique (key)
);

create table visitor_analytics.verdict (
    id integer generated always as identity,
    key uuid not null,
    is_bot boolean not null,
    score smallint not null,
    reasons text[] not null,
    bot_name text,
    ruleset smallint not null,
    constraint verdict_pkey primary key (id),
    constraint verdict_key_key unique (key),
    constraint verdict_score_range check (score between 0 and 100)
);

-- One row a page view. A month is a partition; the service makes them before it needs them.
-- (id, timestamp) decides what is a duplicate: both come from the client, or timestamp from id.
create table visitor_analytics.visit (
    id uuid not null,
    "timestamp" timestamptz not null,
    received_at timestamptz not null,
    session_id uuid not null,
    site_id integer not null,
    page_id integer not null,
    origin_id integer not null,
    agent_id integer not null,
    verdict_id integer not null,
    -- Null where the address has no place, and while its place is owed.
    place_id integer,
    network_id integer,
    response_time_ms integer,
    engagement_seconds integer,
    status_code smallint,
    scroll_depth smallint,
    is_bot boolean not null,
    visitor_id text not null,
    user_id text,
    query text,
    method text not null,
    language text,
    properties jsonb,
    constraint visit_pkey primary key (id, "timestamp")
) partition by range ("timestamp");

-- What is imported from before the months begin: one partition, so that their number stays small.
create table visitor_analytics.visit_past partition of visitor_analytics.visit
    for values from (minvalue) to ('2024-01-01 00:00:00+00');

create index visit_site_timestamp_idx on visitor_analytics.visit (site_id, "timestamp", id);

-- The copy. ---------------------------------------------------------------------------------------

do $$
declare month timestamptz;
begin
    for month in select distinct date_trunc('month', "timestamp", 'UTC')
        from visitor_analytics_before.visit where "timestamp" >= '2024-01-01 00:00:00+00'
    loop
        execute format(
            'create table visitor_analytics.visit_%s partition of visitor_analytics.visit
             for values from (%L) to (%L)',
            to_char(month at time zone 'UTC', 'YYYY_MM'), month,
            (month at time zone 'UTC' + interval '1 month') at time zone 'UTC');
    end loop;
end $$;

create function visitor_analytics_before.key(variadic parts bytea[]) returns uuid
    language sql immutable as $$
    select encode(substring(sha256(string_agg(
        coalesce(part || '\xfe', '\xff'), '' order by place)) for 16), 'hex')::uuid
    from unnest(parts) with ordinality as p (part, place)
$$;

create table visitor_analytics_before.keyed as
select v.id, v."timestamp",
    visitor_analytics_before.key(
        convert_to(split_part(url, '?', 1), 'UTF8'), convert_to(title, 'UTF8')) as page,
    visitor_analytics_before.key(convert_to(referrer, 'UTF8'), convert_to(source, 'UTF8'),
        convert_to(medium, 'UTF8'), convert_to(channel, 'UTF8'), convert_to(utm_source, 'UTF8'),
        convert_to(utm_medium, 'UTF8'), convert_to(utm_campaign, 'UTF8'),
        convert_to(utm_term, 'UTF8'), convert_to(utm_content, 'UTF8')) as origin,
    visitor_analytics_before.key(convert_to(user_agent, 'UTF8')) as agent,
    case when country_code is not null or latitude is not null then
        visitor_analytics_before.key(convert_to(country_code, 'UTF8'), convert_to(country, 'UTF8'),
            convert_to(region_code, 'UTF8'), convert_to(region, 'UTF8'), convert_to(city, 'UTF8'),
            float8send(latitude), float8send(longitude), convert_to(time_zone, 'UTF8')) end as place,
    case when asn is not null or as_organization is not null then
        visitor_analytics_before.key(int8send(asn), convert_to(as_organization, 'UTF8')) end
        as network,
    visitor_analytics_before.key(int2send(is_bot::int::int2), int2send(bot_score),
        int2send(ruleset), convert_to(bot_name, 'UTF8'),
        convert_to(array_to_string(bot_reasons, ' '), 'UTF8')) as verdict
from visitor_analytics_before.visit v;

insert into visitor_analytics.page (key, base, path, title)
select distinct on (k.page) k.page, split_part(v.url, '?', 1), v.path, v.title
from visitor_analytics_before.visit v
join visitor_analytics_before.keyed k on (k.id, k."timestamp") = (v.id, v."timestamp");

insert into visitor_analytics.origin (key, referrer, source, medium, channel, utm_source,
    utm_medium, utm_campaign, utm_term, utm_content)
select distinct on (k.origin) k.origin, v.referrer, v.source, v.medium, v.channel, v.utm_source,
    v.utm_medium, v.utm_campaign, v.utm_term, v.utm_content
from visitor_analytics_before.visit v
join visitor_analytics_before.keyed k on (k.id, k."timestamp") = (v.id, v."timestamp");

insert into visitor_analytics.agent (key, user_agent, browser, browser_version, os, os_version,
    device_type)
-- A bot's device was not kept beside its verdict; a person's with the same user agent was.
select distinct on (k.agent) k.agent, v.user_agent, v.browser, v.browser_version, v.os,
    v.os_version, case v.device_type when 'bot' then 'other' else v.device_type end
from visitor_analytics_before.visit v
join visitor_analytics_before.keyed k on (k.id, k."timestamp") = (v.id, v."timestamp")
order by k.agent, v.is_bot;

insert into visitor_analytics.place (key, country_code, country, region_code, region, city,
    latitude, longitude, time_zone)
select distinct on (k.place) k.place, v.country_code, v.country, v.region_code, v.region, v.city,
    v.latitude, v.longitude, v.time_zone
from visitor_analytics_before.visit v
join visitor_analytics_before.keyed k on (k.id, k."timestamp") = (v.id, v."timestamp")
where k.place is not null;

insert into visitor_analytics.network (key, asn, as_organization)
select distinct on (k.network) k.network, v.asn, v.as_organization
from visitor_analytics_before.visit v
join visitor_analytics_before.keyed k on (k.id, k."timestamp") = (v.id, v."timestamp")
where k.network is not null;

insert into visitor_analytics.verdict (key, is_bot, score, reasons, bot_name, ruleset)
select distinct on (k.verdict) k.verdict, v.is_bot, v.bot_score, v.bot_reasons, v.bot_name,
    v.ruleset
from visitor_analytics_before.visit v
join visitor_analytics_before.keyed k on (k.id, k."timestamp") = (v.id, v."timestamp");

insert into visitor_analytics.visit (id, "timestamp", received_at, session_id, site_id, page_id,
    origin_id, agent_id, verdict_id, place_id, network_id, response_time_ms, engagement_seconds,
    status_code, scroll_depth, is_bot, visitor_id, user_id, query, method, language, properties)
select v.id, v."timestamp", v.received_at, v.session_id, v.site_id, p.id, o.id, a.id, j.id, l.id,
    n.id, v.response_time_ms, v.engagement_seconds, v.status_code, v.scroll_depth, v.is_bot,
    v.visitor_id, v.user_id,
    case when strpos(v.url, '?') > 0 then substr(v.url, strpos(v.url, '?') + 1) end,
    v.method, v.language, v.properties
from visitor_analytics_before.visit v
join visitor_analytics_before.keyed k on (k.id, k."timestamp") = (v.id, v."timestamp")
join visitor_analytics.page p on p.key = k.page
join visitor_analytics.origin o on o.key = k.origin
join visitor_analytics.agent a on a.key = k.agent
join visitor_analytics.verdict j on j.key = k.verdict
left join visitor_analytics.place l on l.key = k.place
left join visitor_analytics.network n on n.key = k.network;

drop schema visitor_analytics_before cascade;
