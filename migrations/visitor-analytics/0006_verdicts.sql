-- What kind of bot it is, where that is known.
alter table visitor_analytics.verdict add column category text;

-- Who makes the device, and which one it is.
alter table visitor_analytics.agent
    add column brand text,
    add column model text;

-- How far the visits have been judged again by a ruleset.
create table visitor_analytics.reclassification (
    ruleset smallint not null,
    -- The last visit that was judged, in the order of (id, timestamp).
    through_timestamp timestamptz not null,
    through_id uuid not null,
    visits bigint not null,
    changed bigint not null,
    finished_at timestamptz,
    constraint reclassification_pkey primary key (ruleset)
);
