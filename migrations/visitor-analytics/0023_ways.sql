-- The ways of a day's sessions, and again of a month's while each of its days is folded
-- (domain/journey.rs says what the bytes are): a row for each depth from 1 on, and at 0 what comes
-- before and after pages.
create table visitor_analytics.rollup_ways (
    site_id integer not null,
    depth smallint not null,
    -- Whether it is the sum of the month that begins on this day.
    is_month boolean not null,
    day date not null,
    ways bytea not null,
    constraint rollup_ways_pkey primary key (site_id, depth, is_month, day)
);

-- They are as small as their numbers allow; to compress them would only cost time.
alter table visitor_analytics.rollup_ways alter column ways set storage external;

-- What the day had been touched by last when it was packed, which tells its states apart.
alter table visitor_analytics.visit_pack add column change uuid;

-- Who came on the day (domain/retention.rs).
alter table visitor_analytics.visit_pack add column visitors bytea;
alter table visitor_analytics.visit_pack alter column visitors set storage external;

-- What was folded before has no ways, no properties and no bots' categories: it is folded again, as
-- far as its visits are there.
insert into visitor_analytics.unfolded_day (site_id, day, due_at)
select r.site_id, r.day, now()
from visitor_analytics.rollup_day r
join visitor_analytics.site s on s.id = r.site_id
where r.dimension = 0 and not exists (
    select from visitor_analytics.visit_horizon h
    where h.kept_since > r.day::timestamp at time zone s.time_zone)
on conflict on constraint unfolded_day_pkey do nothing;
