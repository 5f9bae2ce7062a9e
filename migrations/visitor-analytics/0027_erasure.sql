-- Calls that ask notification to erase a person, written with the erasure itself and kept until
-- notification has answered.
create table visitor_analytics.erasure_call (
    id bigint generated always as identity,
    body jsonb not null,
    created_at timestamptz not null,
    due_at timestamptz not null,
    attempts integer not null default 0,
    last_error text,
    constraint erasure_call_pkey primary key (id)
);

create index erasure_call_due_idx on visitor_analytics.erasure_call (due_at);

-- Which notification announced which session.
create table visitor_analytics.announcement (
    session_id uuid not null,
    notification_id uuid not null,
    site_id integer not null,
    visitor_id text not null,
    announced_at timestamptz not null,
    constraint announcement_pkey primary key (session_id)
);

create index announcement_visitor_idx
    on visitor_analytics.announcement (visitor_id, announced_at, session_id);
create index announcement_age_idx on visitor_analytics.announcement (announced_at);

-- Values that an erased person's visits had, by the keys of their tables: they are removed where no
-- other visit has them. Kinds: 1 page, 2 origin, 3 agent, 4 rollup_value (whose value_id is 0).
create table visitor_analytics.erased_value (
    kind smallint not null,
    value_id integer not null,
    key uuid not null,
    -- Since when no new visit finds the value by its key.
    retired_at timestamptz,
    due_at timestamptz not null,
    constraint erased_value_pkey primary key (kind, value_id, key),
    constraint erased_value_kind_known check (kind between 1 and 4)
);

create index erased_value_due_idx on visitor_analytics.erased_value (due_at);
