-- The names of fields or columns of an imported file that are unknown and were ignored.
alter table visitor_analytics.import add column unknown_fields text[] not null default '{}';
