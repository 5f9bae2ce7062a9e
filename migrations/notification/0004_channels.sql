-- More ways to tell somebody.
alter table notification.delivery
    drop constraint delivery_channel_known,
    add constraint delivery_channel_known check (channel in ('sms', 'email', 'push', 'webhook',
        'slack', 'discord', 'telegram', 'ntfy', 'fcm', 'log'));

alter table notification.attempt
    drop constraint attempt_outcome_known,
    add constraint attempt_outcome_known check (outcome in ('sent', 'found', 'transient',
        'permanent', 'gone', 'config', 'unknown'));

-- Where webhooks and browsers are reached: `webhook:ID` and `push:ID` are addresses of recipients.
create table notification.endpoint (
    address         text        not null,
    id              uuid        not null,
    kind            text        not null,
    url             text        not null,
    -- The signing secrets of a webhook, the newest first; p256dh and auth of a browser.
    keys            text[]      not null,
    enabled         boolean     not null default true,
    disabled_reason text,
    created_at      timestamptz not null,
    constraint endpoint_pkey primary key (address),
    constraint endpoint_id_unique unique (id),
    constraint endpoint_kind_known check (kind in ('webhook', 'push'))
);
create unique index endpoint_push_url on notification.endpoint (url) where kind = 'push';
