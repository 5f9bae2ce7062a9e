-- Filters with a name: dimension by dimension the values as they are written in a question.
create table visitor_analytics.segment (
    id uuid not null,
    name text not null,
    filters jsonb not null,
    created_at timestamptz not null,
    constraint segment_pkey primary key (id),
    constraint segment_name_key unique (name)
);

-- What a session may come to: a page (with wildcards) or a kind of event.
create table visitor_analytics.goal (
    id uuid not null,
    site_id integer not null,
    name text not null,
    page text,
    event_type text,
    value double precision,
    created_at timestamptz not null,
    constraint goal_pkey primary key (id),
    constraint goal_name_key unique (site_id, name),
    constraint goal_is_one check (num_nonnulls(page, event_type) = 1)
);
