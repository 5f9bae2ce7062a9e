-- The version of the rules and recipients, by which replicas see that their routing tables are
-- outdated. A view under the old name serves processes of the previous version during an update; a
-- migration of the next version drops it.
alter table notification.edition rename to routing_version;
create view notification.edition as select * from notification.routing_version;

alter function notification.new_edition() rename to increment_routing_version;
create or replace function notification.increment_routing_version() returns trigger
    language plpgsql as $$
begin
    update notification.routing_version set number = number + 1;
    return null;
end $$;

-- The previous version names the primary keys of spent and tally in its statements, which a view does
-- not have: they are renamed when no version does (to daily_usage and window_counter).
