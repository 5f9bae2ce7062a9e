-- Numbers of days that are over, in step with the visits: a day of a site is either folded (its
-- numbers are in rollup_day) or not (it is in unfolded_day), and a day without visits is neither.

-- An IANA name; PostgreSQL refuses what it does not know.
alter table visitor_analytics.site
    add column time_zone text not null default 'UTC',
    add constraint site_time_zone_known
        check (timezone(time_zone, timestamptz '2000-01-01 00:00:00+00') is not null);

-- Days, in their site's time zone, that have visits and are not folded, or were touched since.
create table visitor_analytics.unfolded_day (
    site_id integer not null,
    day date not null,
    -- Another one whenever something of the day changes after its end.
    change uuid not null default gen_random_uuid(),
    -- Not to be folded before; moved ahead by whoever folds the day.
    due_at timestamptz not null,
    constraint unfolded_day_pkey primary key (site_id, day)
);

create index unfolded_day_due_idx on visitor_analytics.unfolded_day (due_at);

-- What rollups are grouped by, each text once. Its key is that of the other tables of values.
create table visitor_analytics.rollup_value (
    id integer generated always as identity,
    key uuid not null,
    text text not null,
    constraint rollup_value_pkey primary key (id),
    constraint rollup_value_key_key unique (key)
);

-- docs/rollups.md defines the numbers, domain/dimension.rs numbers the dimensions. value_id is 0
-- where there is no value.
create table visitor_analytics.rollup_day (
    seconds bigint not null,
    site_id integer not null,
    day date not null,
    value_id integer not null,
    visits integer not null,
    visitors integer not null,
    sessions integer not null,
    bounces integer not null,
    dimension smallint not null,
    is_bot boolean not null,
    constraint rollup_day_pkey primary key (site_id, dimension, day, is_bot, value_id)
);

-- One row once visits have been dropped: those before `kept_since` are not all there any more, and
-- what was folded of them stays as it is.
create table visitor_analytics.visit_horizon (
    is_only boolean not null default true,
    kept_since timestamptz not null,
    constraint visit_horizon_pkey primary key (is_only),
    constraint visit_horizon_is_one check (is_only)
);

insert into visitor_analytics.unfolded_day (site_id, day, due_at)
select site_id, day, (day + 1)::timestamp at time zone 'UTC' + interval '2 hours'
from (select distinct site_id, ("timestamp" at time zone 'UTC')::date as day
      from visitor_analytics.visit) v;
