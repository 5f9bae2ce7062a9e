-- What somebody was told, the newest first.
create index delivery_by_recipient on notification.delivery (recipient, notification_id desc);
