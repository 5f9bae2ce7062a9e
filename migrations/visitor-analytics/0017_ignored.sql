-- Visits that a site does not want: addresses or networks (CIDR), and patterns of paths; and how many
-- of them came.
alter table visitor_analytics.site
    add column ignored_addresses text[] not null default '{}',
    add column ignored_paths text[] not null default '{}',
    add column ignored_visits bigint not null default 0;
