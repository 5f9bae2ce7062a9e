-- What visitors did beside looking at pages. Events are far fewer than visits: one table holds
-- them all. (id, timestamp) decides what is a duplicate, as with visits.
create table visitor_analytics.event (
    id uuid not null,
    "timestamp" timestamptz not null,
    received_at timestamptz not null,
    site_id integer not null,
    event_type text not null,
    visitor_id text not null,
    user_id text,
    metadata jsonb not null,
    constraint event_pkey primary key (id, "timestamp")
);

create index event_site_timestamp_idx on visitor_analytics.event (site_id, "timestamp", id);
create index event_visitor_idx on visitor_analytics.event (visitor_id, "timestamp");
create index event_user_idx on visitor_analytics.event (user_id, "timestamp", id)
    where user_id is not null;
