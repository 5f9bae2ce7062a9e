-- How many lines of an import were skipped for each reason. Imports of earlier versions have none.
alter table visitor_analytics.import add column skipped_kinds jsonb not null default '{}';
