-- What providers said of messages that are not ours is forgotten by its age.
create index receipt_by_age on notification.receipt (received_at);
