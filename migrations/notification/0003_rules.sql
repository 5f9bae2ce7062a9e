-- Which events are told to whom, how, when, and how often. Both are read whole into memory; what
-- they say is checked there.
create table notification.rule (
    id         uuid        not null,
    spec       json        not null,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    constraint rule_pkey primary key (id)
);

create table notification.recipient (
    id         uuid        not null,
    name       text        not null,
    spec       json        not null,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    constraint recipient_pkey primary key (id),
    constraint recipient_name_unique unique (name)
);

-- One row, whose number grows with every change of the two, so that each process sees it soon.
create table notification.edition (
    number bigint not null
);
insert into notification.edition values (1);

create function notification.new_edition() returns trigger language plpgsql as $$
begin
    update notification.edition set number = number + 1;
    return null;
end $$;

create trigger rule_changed after insert or update or delete on notification.rule
    for each statement execute function notification.new_edition();
create trigger recipient_changed after insert or update or delete on notification.recipient
    for each statement execute function notification.new_edition();

-- What a newcomer needs: every visitor is told to the phone of the settings, else to the log.
insert into notification.rule (id, spec, created_at, updated_at)
values ('01900000-0000-7000-8000-000000000001',
    '{"name": "Visitors", "event": "visitor.arrived"}', now(), now());

-- How many of a kind there were in a stretch of time that began with the first.
create table notification.tally (
    rule_id uuid        not null,
    kind    text        not null,
    key     text        not null,
    count   integer     not null,
    ends_at timestamptz not null,
    constraint tally_pkey primary key (rule_id, kind, key),
    constraint tally_kind_known check (kind in ('dedupe', 'throttle'))
);
create index tally_by_end on notification.tally (ends_at);

-- Notifications that are told together when the time has come. The id becomes that of the
-- notification which tells them.
create table notification.digest (
    id        uuid        not null,
    rule_id   uuid        not null,
    key       text        not null,
    opened_at timestamptz not null,
    due_at    timestamptz not null,
    constraint digest_pkey primary key (id),
    constraint digest_open_once unique (rule_id, key)
);
create index digest_due on notification.digest (due_at);

create table notification.digest_item (
    digest_id       uuid not null,
    notification_id uuid not null,
    text            text not null,
    constraint digest_item_pkey primary key (digest_id, notification_id),
    constraint digest_item_digest_fkey foreign key (digest_id)
        references notification.digest (id) on delete cascade
);

-- What the rules said, and whether somebody saw it.
alter table notification.notification
    add column findings json,
    add column acknowledged_at timestamptz;

-- Step 0 is told at once, later ones only where nobody acknowledges.
alter table notification.delivery
    add column title text,
    add column html text,
    add column step smallint not null default 0,
    add column reason text,
    drop constraint delivery_once_per_recipient,
    add constraint delivery_once_per_recipient unique (notification_id, channel, recipient, step),
    drop constraint delivery_status_known,
    add constraint delivery_status_known check
        (status in ('pending', 'sending', 'sent', 'dead', 'suppressed', 'canceled'));
