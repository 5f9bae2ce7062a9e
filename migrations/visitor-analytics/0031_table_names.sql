-- Tables get the names that the code and the documentation use. Views under the old names serve
-- processes of the previous version during an update; a migration of the next version drops them.
alter table visitor_analytics.owed_location rename to pending_location;
alter table visitor_analytics.pending_location
    rename constraint owed_location_pkey to pending_location_pkey;
alter index visitor_analytics.owed_location_created_idx rename to pending_location_created_idx;
create view visitor_analytics.owed_location as select * from visitor_analytics.pending_location;

alter table visitor_analytics.visit_pack rename to column_block;
alter table visitor_analytics.column_block rename constraint visit_pack_pkey to column_block_pkey;
create view visitor_analytics.visit_pack as select * from visitor_analytics.column_block;

alter table visitor_analytics.rollup_clock rename to rollup_quarter_hour;
alter table visitor_analytics.rollup_quarter_hour
    rename constraint rollup_clock_pkey to rollup_quarter_hour_pkey;
create view visitor_analytics.rollup_clock as select * from visitor_analytics.rollup_quarter_hour;

alter table visitor_analytics.rollup_ways rename to rollup_path;
alter table visitor_analytics.rollup_path rename column ways to paths;
alter table visitor_analytics.rollup_path rename constraint rollup_ways_pkey to rollup_path_pkey;
create view visitor_analytics.rollup_ways as
    select site_id, depth, is_month, day, paths as ways from visitor_analytics.rollup_path;

-- The previous version names the primary keys of unfolded_day and visit_copy in its statements, which
-- a view does not have: they are renamed when no version does (to dirty_day and duplicate_visit).
