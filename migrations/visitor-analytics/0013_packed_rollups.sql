-- A dimension's numbers of a day are one row now, and again those of a month: domain/sums.rs says
-- what the bytes are. What was a row a value took ten times the room, and a report as long to add.
alter table visitor_analytics.rollup_day rename to rollup_line;
alter table visitor_analytics.rollup_line rename constraint rollup_day_pkey to rollup_line_pkey;

create table visitor_analytics.rollup_day (
    site_id integer not null,
    dimension smallint not null,
    day date not null,
    numbers bytea not null,
    constraint rollup_day_pkey primary key (site_id, dimension, day)
);

-- The sum of a month's days, each of which is folded. Without a row the days are added.
create table visitor_analytics.rollup_month (
    site_id integer not null,
    dimension smallint not null,
    month date not null,
    numbers bytea not null,
    constraint rollup_month_pkey primary key (site_id, dimension, month),
    constraint rollup_month_is_one check (extract(day from month) = 1)
);

-- A folded day by quarters of an hour (domain/quarters.rs), for days of other time zones.
create table visitor_analytics.rollup_clock (
    site_id integer not null,
    day date not null,
    quarters bytea not null,
    -- Visitors who come on the next day, too; null where that one is not folded.
    overlap bytea,
    constraint rollup_clock_pkey primary key (site_id, day)
);

-- They are as small as their numbers allow; to compress them would only cost time.
alter table visitor_analytics.rollup_day alter column numbers set storage external;
alter table visitor_analytics.rollup_month alter column numbers set storage external;

-- LEB128.
create function visitor_analytics.varint(number bigint) returns bytea
    language sql immutable strict as $$
    select case when number < 128 then set_byte('\x00', 0, number::int)
        else set_byte('\x00', 0, (number & 127 | 128)::int)
             || visitor_analytics.varint(number >> 7) end
$$;

insert into visitor_analytics.rollup_day (site_id, dimension, day, numbers)
select site_id, dimension, day,
    visitor_analytics.varint(length(people)) || people || bots
from (
    select site_id, dimension, day,
        coalesce(string_agg(line, '' order by value_id) filter (where not is_bot), '') as people,
        coalesce(string_agg(line, '' order by value_id) filter (where is_bot), '') as bots
    from (
        select site_id, dimension, day, is_bot, value_id,
            visitor_analytics.varint(value_id - coalesce(lag(value_id) over (
                partition by site_id, dimension, day, is_bot order by value_id), 0))
            || visitor_analytics.varint(visits) || visitor_analytics.varint(visitors)
            || visitor_analytics.varint(sessions) || visitor_analytics.varint(bounces)
            || visitor_analytics.varint(seconds) as line
        from visitor_analytics.rollup_line) l
    group by site_id, dimension, day) d;

drop table visitor_analytics.rollup_line;
drop function visitor_analytics.varint;

-- What was folded before is not there by quarters: it is folded again, as far as its visits are.
insert into visitor_analytics.unfolded_day (site_id, day, due_at)
select r.site_id, r.day, now()
from visitor_analytics.rollup_day r
join visitor_analytics.site s on s.id = r.site_id
where r.dimension = 0 and not exists (
    select from visitor_analytics.visit_horizon h
    where h.kept_since > r.day::timestamp at time zone s.time_zone)
on conflict on constraint unfolded_day_pkey do nothing;
