-- The network that a visitor comes from (/24, /48), until the visitor is announced: notification
-- counts by it how many of one network it tells of.
alter table visitor_analytics.outbox add column network text;
