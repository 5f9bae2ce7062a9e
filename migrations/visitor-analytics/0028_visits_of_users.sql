-- A user's visits are erased without a look at all the others.
create index visit_user_idx on visitor_analytics.visit (user_id, "timestamp")
    where user_id is not null;
