-- Properties of visits that a site wants to see in reports, by name.
alter table visitor_analytics.site
    add column properties text[] not null default '{}',
    add constraint site_properties_are_few check (cardinality(properties) <= 10);

-- Sets of them (domain/pack.rs); null where no visit has any.
alter table visitor_analytics.visit_pack add column properties bytea;
alter table visitor_analytics.visit_pack alter column properties set storage external;

-- Days are counted by bots' categories, too: what was folded before is folded again, as far as its
-- visits are there.
insert into visitor_analytics.unfolded_day (site_id, day, due_at)
select r.site_id, r.day, now()
from visitor_analytics.rollup_day r
join visitor_analytics.site s on s.id = r.site_id
where r.dimension = 0 and not exists (
    select from visitor_analytics.visit_horizon h
    where h.kept_since > r.day::timestamp at time zone s.time_zone)
on conflict on constraint unfolded_day_pkey do nothing;
