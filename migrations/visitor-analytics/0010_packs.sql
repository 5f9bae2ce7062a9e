-- A folded day's visits once more, column by column, for questions with filters: domain/pack.rs
-- says what the bytes are. A day has several packs where it has many visits.
create table visitor_analytics.visit_pack (
    site_id integer not null,
    day date not null,
    part smallint not null,
    -- The day's first moment.
    start timestamptz not null,
    runs bytea not null,
    times bytea not null,
    page bytea not null,
    agent bytea not null,
    verdict bytea not null,
    place bytea not null,
    network bytea not null,
    language bytea not null,
    status bytea not null,
    origin bytea not null,
    entry bytea not null,
    exit bytea not null,
    constraint visit_pack_pkey primary key (site_id, day, part)
);

-- They are as small as their numbers allow; to compress them would only cost time.
alter table visitor_analytics.visit_pack
    alter column runs set storage external, alter column times set storage external,
    alter column page set storage external, alter column agent set storage external,
    alter column verdict set storage external, alter column place set storage external,
    alter column network set storage external, alter column language set storage external,
    alter column status set storage external, alter column origin set storage external,
    alter column entry set storage external, alter column exit set storage external;

-- What was folded before has no packs: it is folded again, as far as its visits are there.
insert into visitor_analytics.unfolded_day (site_id, day, due_at)
select distinct r.site_id, r.day, now()
from visitor_analytics.rollup_day r
join visitor_analytics.site s on s.id = r.site_id
where r.dimension = 0 and not exists (
    select from visitor_analytics.visit_horizon h
    where h.kept_since > r.day::timestamp at time zone s.time_zone)
on conflict on constraint unfolded_day_pkey do nothing;
