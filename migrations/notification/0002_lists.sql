-- Many notifications at once, each with as little work as will do.

-- A key is written in the same statement as its notification, and is deleted after a day; nobody
-- has to look from a notification to its key.
alter table notification.idempotency_key drop constraint idempotency_key_notification_fkey;
drop index notification.idempotency_key_by_notification;

-- Each channel has its own worker, which another channel's backlog does not concern.
drop index notification.delivery_due;
create index delivery_due on notification.delivery (channel, coalesce(leased_until, due_at))
    where status in ('pending', 'sending');

-- Kept as it came: no statement looks into it, and to take it apart costs more than to store it.
-- Nor is it compressed where it is short.
alter table notification.notification alter column data type json using data::json;
alter table notification.notification set (toast_tuple_target = 8160);
