-- A message at Twilio counts for one delivery. A lookup finds messages by their text, so that two
-- deliveries with the same text could find the same message, and one of them was never sent.
-- Deliveries that were sent twice or found twice before keep the first owner of the message.
update notification.delivery d set provider_message_id = null
where provider = 'twilio' and provider_message_id is not null
    and exists (
        select 1 from notification.delivery first
        where first.provider = 'twilio' and first.provider_message_id = d.provider_message_id
            and first.id < d.id);
create unique index delivery_twilio_message_key on notification.delivery (provider_message_id)
    where provider = 'twilio';
