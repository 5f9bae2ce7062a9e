-- A throttle may also count in all, whatever is counted together.
alter table notification.tally
    drop constraint tally_kind_known,
    add constraint tally_kind_known check (kind in ('dedupe', 'throttle', 'total'));

-- What a throttle held back is told once as a digest.
alter table notification.digest
    add column held_back boolean not null default false;
