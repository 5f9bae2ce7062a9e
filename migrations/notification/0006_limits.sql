-- What was sent in a day (UTC), for limits: in all, by channel, to a recipient, segments of texts.
create table notification.spent (
    day   date   not null,
    scope text   not null,
    key   text   not null,
    count bigint not null,
    constraint spent_pkey primary key (day, scope, key)
);
