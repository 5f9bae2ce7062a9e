-- Visits that came again after they were recorded, which changed nothing.
create table visitor_analytics.visit_copy (
    visit_id uuid not null,
    visit_timestamp timestamptz not null,
    copies bigint not null,
    last_at timestamptz not null,
    constraint visit_copy_pkey primary key (visit_id, visit_timestamp)
);
