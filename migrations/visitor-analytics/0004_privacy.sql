-- The visitor's address, where the owner keeps it: whole, or without its last part.
alter table visitor_analytics.visit add column ip inet;

-- A salt is that of a day, of a month, or one that stays. The default of `expires_at` is for a
-- replica of the version before, which does not name it.
alter table visitor_analytics.salt
    add column kind text not null default 'daily',
    add column expires_at timestamptz default now() + interval '48 hours',
    add constraint salt_kind check (kind in ('daily', 'monthly', 'persistent')),
    drop constraint salt_pkey,
    add constraint salt_pkey primary key (kind, day);
update visitor_analytics.salt set expires_at = created_at + interval '48 hours';
comment on column visitor_analytics.salt.day is 'the first day of its period';
comment on column visitor_analytics.salt.expires_at is 'when it is deleted; null: it stays';
