-- Copies of what was downloaded, for machines whose disk does not last.
create table geo.download (
    edition      text        not null,
    -- Which release it is, in its publisher's words; a later one sorts after an earlier one.
    release      text        not null,
    -- Of the database itself, in hexadecimal.
    md5          text        not null,
    -- When to ask its publisher for something newer, for all replicas.
    ask_again_at timestamptz not null,
    constraint download_pkey primary key (edition),
    constraint download_md5_hexadecimal check (md5 ~ '^[0-9a-f]{32}$')
);

-- The database in gzip, cut into parts: neither side ever holds it as a whole.
create table geo.download_part (
    edition text    not null,
    number  integer not null,
    content bytea   not null,
    constraint download_part_pkey primary key (edition, number),
    constraint download_part_edition_fkey foreign key (edition)
        references geo.download (edition) on delete cascade,
    constraint download_part_number_counted check (number >= 0),
    constraint download_part_content_bounded check (octet_length(content) between 1 and 1048576)
);

-- It is packed already.
alter table geo.download_part alter column content set storage external;
