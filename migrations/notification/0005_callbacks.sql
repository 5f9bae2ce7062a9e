-- Who wants no more, whoever the provider is.
create table notification.suppression (
    address    text        not null,
    id         uuid        not null,
    reason     text        not null,
    created_at timestamptz not null,
    constraint suppression_pkey primary key (address),
    constraint suppression_id_unique unique (id)
);

-- What providers say about messages later. It may come before we have recorded the message's id.
create table notification.receipt (
    provider    text        not null,
    message_id  text        not null,
    status      text        not null,
    rank        smallint    not null,
    code        integer,
    detail      text,
    received_at timestamptz not null,
    -- Whether a failure is still to be told to its delivery.
    open        boolean     not null,
    constraint receipt_pkey primary key (provider, message_id)
);
create index receipt_open on notification.receipt (received_at) where open;

alter table notification.attempt
    drop constraint attempt_outcome_known,
    add constraint attempt_outcome_known check (outcome in ('sent', 'found', 'transient',
        'permanent', 'gone', 'config', 'suppressed', 'unknown'));
