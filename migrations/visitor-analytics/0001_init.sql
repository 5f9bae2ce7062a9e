create schema if not exists visitor_analytics;

create table visitor_analytics.site (
    id integer generated always as identity,
    domain text not null,
    created_at timestamptz not null,
    constraint site_pkey primary key (id),
    constraint site_domain_key unique (domain)
);

-- One row a page view. A month is a partition; the service makes them before it needs them.
-- (id, timestamp) decides what is a duplicate: both come from the client, or timestamp from id.
create table visitor_analytics.visit (
    id uuid not null,
    "timestamp" timestamptz not null,
    received_at timestamptz not null,
    site_id integer not null,
    session_id uuid not null,
    visitor_id text not null,
    user_id text,
    url text not null,
    path text not null,
    title text,
    referrer text,
    source text not null,
    medium text not null,
    channel text,
    utm_source text,
    utm_medium text,
    utm_campaign text,
    utm_term text,
    utm_content text,
    method text not null,
    status_code smallint,
    response_time_ms integer,
    user_agent text not null,
    browser text,
    browser_version text,
    os text,
    os_version text,
    device_type text not null,
    language text,
    country_code text,
    country text,
    region_code text,
    region text,
    city text,
    latitude double precision,
    longitude double precision,
    time_zone text,
    asn bigint,
    as_organization text,
    is_bot boolean not null,
    bot_name text,
    bot_score smallint not null,
    bot_reasons text[] not null,
    ruleset smallint not null,
    engagement_seconds integer,
    scroll_depth smallint,
    properties jsonb,
    constraint visit_pkey primary key (id, "timestamp"),
    constraint visit_bot_score_range check (bot_score between 0 and 100)
) partition by range ("timestamp");

-- What is imported from before the months begin: one partition, so that their number stays small.
create table visitor_analytics.visit_past partition of visitor_analytics.visit
    for values from (minvalue) to ('2024-01-01 00:00:00+00');

create index visit_site_timestamp_idx on visitor_analytics.visit (site_id, "timestamp", id);

-- A visitor's visits with gaps under 30 minutes. What a session shares with its first and last
-- visit is read from them: (entry_visit_id, started_at) and (exit_visit_id, last_seen_at).
create table visitor_analytics.session (
    id uuid not null,
    site_id integer not null,
    visitor_id text not null,
    started_at timestamptz not null,
    last_seen_at timestamptz not null,
    entry_visit_id uuid not null,
    exit_visit_id uuid not null,
    visits integer not null,
    is_bot boolean not null,
    announced boolean not null,
    constraint session_pkey primary key (id, started_at),
    constraint session_period check (started_at <= last_seen_at),
    constraint session_has_visits check (visits > 0)
) partition by range (started_at);

create table visitor_analytics.session_past partition of visitor_analytics.session
    for values from (minvalue) to ('2024-01-01 00:00:00+00') with (fillfactor = 70);

-- Not on last_seen_at: a column that moves with every visit would be written to the index each time.
create index session_visitor_idx on visitor_analytics.session (visitor_id, started_at);

-- The day's key of the visitor ids; deleted two days after it was made.
create table visitor_analytics.salt (
    day date not null,
    salt bytea not null,
    created_at timestamptz not null,
    constraint salt_pkey primary key (day),
    constraint salt_length check (length(salt) = 32)
);

-- Visits whose place is not known yet; the only place where a visitor's address is kept.
create table visitor_analytics.owed_location (
    visit_id uuid not null,
    visit_timestamp timestamptz not null,
    ip inet not null,
    created_at timestamptz not null,
    constraint owed_location_pkey primary key (visit_id, visit_timestamp)
);

create index owed_location_created_idx on visitor_analytics.owed_location (created_at);

-- Visitors that notification is still to be told about, written with the visit itself.
create table visitor_analytics.outbox (
    id bigint generated always as identity,
    visit_id uuid not null,
    visit_timestamp timestamptz not null,
    session_id uuid not null,
    created_at timestamptz not null,
    due_at timestamptz not null,
    attempts integer not null default 0,
    gave_up_at timestamptz,
    last_error text,
    constraint outbox_pkey primary key (id),
    constraint outbox_session_key unique (session_id)
);

create index outbox_due_idx on visitor_analytics.outbox (due_at) where gave_up_at is null;
