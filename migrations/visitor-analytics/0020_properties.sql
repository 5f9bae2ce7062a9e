-- Properties of visits that a site wants to see in reports, by name.
alter table visitor_analytics.site
    add column properties text[] not null default '{}',
    add constraint site_properties_are_few check (cardinality(properties) <= 10);

-- Sets of them (domain/pack.rs); null where no visit has any.
alter table visitor_analytics.visit_pack add column properties bytea;
alter table visitor_analytics.visit_pack alter column properties set storage external;
