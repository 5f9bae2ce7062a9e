-- Other domains of a site: what is recorded for them is the site's.
create table visitor_analytics.site_alias (
    domain text not null,
    site_id integer not null,
    constraint site_alias_pkey primary key (domain)
);

create index site_alias_site_idx on visitor_analytics.site_alias (site_id);
