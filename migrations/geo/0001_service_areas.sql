-- Where the business serves.
create schema if not exists geo;

-- An area is the union of a geometry, a circle, postal codes, regions and countries.
create table geo.service_area (
    id               uuid             not null,
    name             text             not null,
    enabled          boolean          not null,
    geometry         jsonb,
    center_latitude  double precision,
    center_longitude double precision,
    radius_km        double precision,
    postal_codes     text[]           not null,
    regions          text[]           not null,
    countries        text[]           not null,
    -- How many positions the geometry has; their sum is bounded.
    vertices         integer          not null,
    -- The table's version that this row came with.
    version          bigint           not null,
    created_at       timestamptz      not null,
    updated_at       timestamptz      not null,
    constraint service_area_pkey primary key (id),
    constraint service_area_circle_complete
        check (num_nulls(center_latitude, center_longitude, radius_km) in (0, 3)),
    constraint service_area_somewhere
        check (geometry is not null or radius_km is not null
            or cardinality(postal_codes) + cardinality(regions) + cardinality(countries) > 0),
    constraint service_area_vertices_known check (vertices >= 0)
);

-- One row: counts the changes of the table, so that replicas see with one look whether there are
-- any. Each change locks it, so that one follows the other.
create table geo.service_area_version (
    single  boolean not null default true,
    version bigint  not null,
    constraint service_area_version_pkey primary key (single),
    constraint service_area_version_single check (single)
);

insert into geo.service_area_version (version) values (0);
