-- Files of visits that were imported. Sending a file again goes on after `lines`, of which `digest`
-- is the SHA-256.
create table visitor_analytics.import (
    number integer generated always as identity,
    id uuid not null,
    format text not null,
    site text,
    created_at timestamptz not null,
    touched_at timestamptz not null,
    finished_at timestamptz,
    -- Whoever is at it; null when nobody is.
    runner uuid,
    lines bigint not null default 0,
    digest bytea,
    recorded bigint not null default 0,
    duplicates bigint not null default 0,
    skipped bigint not null default 0,
    ignored bigint not null default 0,
    rejected bigint not null default 0,
    -- The first lines that were rejected, and why.
    errors jsonb not null default '[]',
    constraint import_pkey primary key (number),
    constraint import_id_key unique (id)
);

-- Which visits an import brought, written before they are.
create table visitor_analytics.imported_visit (
    visit_id uuid not null,
    visit_timestamp timestamptz not null,
    import_number integer not null,
    constraint imported_visit_pkey primary key (visit_id, visit_timestamp)
);

create index imported_visit_import_idx
    on visitor_analytics.imported_visit (import_number, visit_timestamp);
