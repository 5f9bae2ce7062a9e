-- Whom a notification is about, so that it is found when the person is erased. What is known of it is
-- in its data, too; erased_at says since when it says nothing more.
alter table notification.notification
    add column visitor_id text,
    add column user_id text,
    add column site text,
    -- When what it tells was recorded, where the data say so.
    add column recorded_at timestamptz,
    add column erased_at timestamptz;

update notification.notification n
set visitor_id = said.visitor_id, user_id = said.user_id, site = said.site
from (select id, coalesce(data #>> '{visitor,id}', data #>> '{visit,visitor_id}',
                 data ->> 'visitor_id') as visitor_id,
             coalesce(data #>> '{visit,user_id}', data ->> 'user_id') as user_id,
             coalesce(data #>> '{visit,site}', data ->> 'site') as site
      from notification.notification where data::text <> '{}') said
where n.id = said.id and (said.visitor_id is not null or said.user_id is not null)
  and length(said.visitor_id) <= 128 is not false and length(said.user_id) <= 128 is not false;

create index notification_by_visitor on notification.notification (visitor_id)
    where visitor_id is not null;
create index notification_by_user on notification.notification (user_id)
    where user_id is not null;

-- Persons erased lately, by hashes of their ids: an announcement that was on its way when they were
-- erased is not kept. For a day.
create table notification.erased_person (
    key uuid not null,
    erased_at timestamptz not null,
    created_at timestamptz not null,
    constraint erased_person_pkey primary key (key)
);
create index erased_person_by_age on notification.erased_person (created_at);

-- Which notifications a digest tells the texts of.
create table notification.digest_member (
    notification_id uuid not null,
    digest_id uuid not null,
    constraint digest_member_pkey primary key (notification_id, digest_id)
);
create index digest_member_by_digest on notification.digest_member (digest_id);

insert into notification.digest_member (notification_id, digest_id)
select distinct n.id, said[1]::uuid
from notification.notification n
cross join lateral regexp_matches(n.findings::text,
    'as notification ([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})', 'g') said
where n.findings::text like '%as notification %';
