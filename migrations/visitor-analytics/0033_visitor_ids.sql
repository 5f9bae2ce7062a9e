-- How long the visitor ids of a folded day last (bits, see domain/visitor_id_kind.rs), and sketches of
-- its visitors, from which reports estimate the visitors of long periods. Days that an earlier version
-- folded have neither until a worker has read their visits.
alter table visitor_analytics.column_block
    add column visitor_ids smallint,
    add column people_sketch bytea,
    add column bots_sketch bytea;

-- To compress them would only cost time.
alter table visitor_analytics.column_block
    alter column people_sketch set storage external,
    alter column bots_sketch set storage external;

create index column_block_without_visitor_ids on visitor_analytics.column_block (site_id, day)
    where visitor_ids is null;
