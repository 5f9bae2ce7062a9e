-- A role for each service, which owns its schema and may do nothing else in the database. To be run
-- with psql 15 or newer by the database's owner, as often as one likes: it also hands over schemas
-- that another role has made, and sets new passwords.
\set ON_ERROR_STOP on
\getenv geo_password GEO_DATABASE_PASSWORD
\getenv visitor_analytics_password VISITOR_ANALYTICS_DATABASE_PASSWORD
\getenv notification_password NOTIFICATION_DATABASE_PASSWORD

begin;
set local client_min_messages = warning;

create temporary table service (name text, password text) on commit drop;
insert into service values
    ('geo', :'geo_password'),
    ('visitor_analytics', :'visitor_analytics_password'),
    ('notification', :'notification_password');

select format('create role %I login', name) from service
where not exists (select from pg_roles where rolname = name)
\gexec
select format('alter role %I login password %L', name, password) from service
\gexec
select format('create schema if not exists %1$I authorization %1$I', name) from service
\gexec
-- The first migrations of visitor-analytics move tables through it, and remove it.
select 'create schema if not exists visitor_analytics_before authorization visitor_analytics'
where to_regclass('visitor_analytics._sqlx_migrations') is null
\gexec

-- What is already there.
select format('alter schema %1$I owner to %1$I', name) from service
\gexec
select format('alter table %I.%I owner to %1$I', name, relname)
from service join pg_namespace n on nspname = name join pg_class c on relnamespace = n.oid
where relkind in ('r', 'p', 'v', 'm')
    or relkind = 'S' and not exists (select from pg_depend
        where objid = c.oid and classid = 'pg_class'::regclass and deptype in ('a', 'i'))
\gexec
select format('alter routine %s owner to %I', p.oid::regprocedure, name)
from service join pg_namespace n on nspname = name join pg_proc p on pronamespace = n.oid
\gexec
select format('alter type %I.%I owner to %1$I', name, typname)
from service join pg_namespace n on nspname = name join pg_type t on typnamespace = n.oid
where typtype in ('d', 'e')
\gexec

-- Nobody else gets in, and nobody makes schemas.
select format('revoke all on database %I from public', current_database())
\gexec
select format('grant connect on database %I to %I', current_database(), name) from service
\gexec

commit;
