-- A notification and its deliveries are written by one statement, and retention deletes them with
-- all that belongs to them: nobody has to look from one to the other for each row. Who is told
-- twice is found out before anything is written.
alter table notification.delivery
    drop constraint delivery_notification_fkey,
    drop constraint delivery_once_per_recipient;
create index delivery_by_notification on notification.delivery (notification_id);
alter table notification.attempt drop constraint attempt_delivery_fkey;
