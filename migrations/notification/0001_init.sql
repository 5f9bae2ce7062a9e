-- What is to be said, to whom, and what became of it.
create schema if not exists notification;

create table notification.notification (
    id          uuid        not null,
    event       text        not null,
    title       text,
    message     text,
    data        jsonb       not null,
    priority    text        not null,
    dedupe_key  text,
    status      text        not null,
    reason      text,
    created_at  timestamptz not null,
    constraint notification_pkey primary key (id),
    constraint notification_priority_known check (priority in ('low', 'normal', 'high', 'urgent')),
    constraint notification_status_known check (status in ('queued', 'suppressed', 'digested'))
);

create index notification_by_event on notification.notification (event, id desc);

-- One row for each Idempotency-Key of a caller; kept for 24 hours. The key is written first, so
-- that a second request with it waits here; hence the reference is checked at the commit.
create table notification.idempotency_key (
    subject         text        not null,
    key             text        not null,
    body_sha256     bytea       not null,
    notification_id uuid        not null,
    created_at      timestamptz not null,
    constraint idempotency_key_pkey primary key (subject, key),
    constraint idempotency_key_notification_fkey foreign key (notification_id)
        references notification.notification (id) on delete cascade deferrable initially deferred,
    constraint idempotency_key_body_sha256_length check (length(body_sha256) = 32)
);

create index idempotency_key_by_age on notification.idempotency_key (created_at);
create index idempotency_key_by_notification on notification.idempotency_key (notification_id);

-- One notification to one recipient on one channel.
create table notification.delivery (
    id                  uuid        not null,
    notification_id     uuid        not null,
    channel             text        not null,
    recipient           text        not null,
    body                text        not null,
    status              text        not null default 'pending',
    -- Attempts ever made, and those since it was last made due by hand.
    attempts            integer     not null default 0,
    tries               integer     not null default 0,
    due_at              timestamptz not null,
    leased_until        timestamptz,
    -- Since this moment an attempt may have reached the recipient without our knowing.
    unknown_since       timestamptz,
    provider            text,
    provider_message_id text,
    last_error          text,
    created_at          timestamptz not null,
    sent_at             timestamptz,
    constraint delivery_pkey primary key (id),
    constraint delivery_notification_fkey foreign key (notification_id)
        references notification.notification (id) on delete cascade,
    constraint delivery_once_per_recipient unique (notification_id, channel, recipient),
    constraint delivery_channel_known check (channel in ('sms', 'log')),
    constraint delivery_status_known check (status in ('pending', 'sending', 'sent', 'dead')),
    constraint delivery_leased_while_sending check ((status = 'sending') = (leased_until is not null)),
    constraint delivery_sent_has_time check ((status = 'sent') = (sent_at is not null))
);

-- The queue: what is due, and what was claimed by a process that did not come back.
create index delivery_due on notification.delivery (coalesce(leased_until, due_at))
    where status in ('pending', 'sending');
create index delivery_dead on notification.delivery (id desc) where status = 'dead';
create index delivery_by_provider_message on notification.delivery (provider_message_id)
    where provider_message_id is not null;

-- One try to send a delivery.
create table notification.attempt (
    delivery_id         uuid        not null,
    number              integer     not null,
    started_at          timestamptz not null,
    -- Null where the process ended in the middle of the attempt.
    provider            text,
    outcome             text        not null,
    detail              text,
    http_status         smallint,
    provider_code       integer,
    provider_message_id text,
    latency_ms          integer,
    constraint attempt_pkey primary key (delivery_id, number),
    constraint attempt_delivery_fkey foreign key (delivery_id)
        references notification.delivery (id) on delete cascade,
    constraint attempt_outcome_known check (outcome in ('sent', 'found', 'transient', 'permanent', 'unknown'))
);
