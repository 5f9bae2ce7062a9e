-- Addresses are compared in their normal form, in which the domain of an email address is in lower
-- case. Other addresses contain a colon or no @.
delete from notification.suppression s using notification.suppression first
where s.address like '%@%' and s.address not like '%:%' and first.id < s.id
    and split_part(first.address, '@', 1) = split_part(s.address, '@', 1)
    and lower(split_part(first.address, '@', 2)) = lower(split_part(s.address, '@', 2));
update notification.suppression
set address = split_part(address, '@', 1) || '@' || lower(split_part(address, '@', 2))
where address like '%@%' and address not like '%:%'
    and split_part(address, '@', 2) <> lower(split_part(address, '@', 2));
-- Deliveries that can still be sent are checked against the suppressions.
update notification.delivery d
set recipient = split_part(recipient, '@', 1) || '@' || lower(split_part(recipient, '@', 2))
where channel = 'email' and status in ('pending', 'dead', 'unknown')
    and split_part(recipient, '@', 2) <> lower(split_part(recipient, '@', 2))
    and not exists (
        select 1 from notification.delivery other
        where other.notification_id = d.notification_id and other.channel = d.channel
            and other.id <> d.id
            and split_part(other.recipient, '@', 1) = split_part(d.recipient, '@', 1)
            and lower(split_part(other.recipient, '@', 2)) = lower(split_part(d.recipient, '@', 2)));
