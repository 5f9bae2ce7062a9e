-- Four rules of bot detection have other codes. The program reads the old ones as well, for rows that
-- a process of the previous version writes meanwhile.
create table visitor_analytics.renamed_code (old text not null, new text not null);
insert into visitor_analytics.renamed_code (old, new) values
    ('unlike_a_browser', 'malformed_user_agent'),
    ('never_existed', 'impossible_version'),
    ('strange_ending', 'unknown_suffix'),
    ('crawler_pretender', 'spoofed_crawler');

update visitor_analytics.verdict v
set reasons = (
    select array_agg(coalesce(r.new, u.reason) order by u.place)
    from unnest(v.reasons) with ordinality as u (reason, place)
    left join visitor_analytics.renamed_code r on r.old = u.reason)
where v.reasons && (select array_agg(old) from visitor_analytics.renamed_code);

-- The dictionary of the rollups. Its key is the first half of a SHA-256 over the text and the byte 254
-- (store/dimension.rs).
update visitor_analytics.rollup_value v
set text = r.new,
    key = encode(substring(sha256(convert_to(r.new, 'UTF8') || '\xfe'::bytea) from 1 for 16),
        'hex')::uuid
from visitor_analytics.renamed_code r
where v.text = r.old
  and not exists (select from visitor_analytics.rollup_value n where n.text = r.new);

-- Values of a filter are texts such as "never_existed" and "!never_existed".
update visitor_analytics.segment s
set filters = jsonb_set(s.filters, '{bot_reason}', (
    select jsonb_agg(coalesce(
        (select to_jsonb(replace(f.value, r.old, r.new)) from visitor_analytics.renamed_code r
         where ltrim(f.value, '!') = r.old), to_jsonb(f.value)) order by f.place)
    from jsonb_array_elements_text(s.filters -> 'bot_reason') with ordinality as f (value, place)))
where s.filters ? 'bot_reason';

drop table visitor_analytics.renamed_code;
