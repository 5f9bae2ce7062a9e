-- When a visit or an event brought a site along; null for one that was added by POST /sites, and
-- for those from before.
alter table visitor_analytics.site add column discovered_at timestamptz;

-- How many came lately is counted before each new one.
create index site_discovered_idx on visitor_analytics.site (discovered_at)
    where discovered_at is not null;

-- Days (UTC) on which new sites were refused, and when somebody was told.
create table visitor_analytics.site_limit_notice (
    day date not null,
    reached_at timestamptz not null,
    told_at timestamptz,
    constraint site_limit_notice_pkey primary key (day)
);
