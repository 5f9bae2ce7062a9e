-- Of some messages nobody can tell whether they were sent. They are not sent again, unless by hand.
alter table notification.delivery
    drop constraint delivery_status_known,
    add constraint delivery_status_known check
        (status in ('pending', 'sending', 'sent', 'dead', 'unknown', 'suppressed', 'canceled'));
drop index notification.delivery_dead;
create index delivery_dead on notification.delivery (id desc) where status in ('dead', 'unknown');
