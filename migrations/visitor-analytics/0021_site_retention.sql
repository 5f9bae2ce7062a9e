-- How long a site's visits are kept where that is shorter than for all, and since when they are
-- all there.
alter table visitor_analytics.site
    add column retention_days integer,
    add column kept_since timestamptz,
    add constraint site_retention_is_of_days check (retention_days between 1 and 36500);

-- Since when a site's visits are all there; null where none were dropped. What lies before is not
-- folded any more.
create function visitor_analytics.kept_since(site_id integer) returns timestamptz
    language sql stable as $$
    select greatest((select kept_since from visitor_analytics.visit_horizon),
                    (select kept_since from visitor_analytics.site where id = site_id))
$$;
