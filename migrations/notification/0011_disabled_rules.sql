-- A rule that failed again and again is not followed until somebody changes it.
alter table notification.rule
    add column disabled_at timestamptz,
    add column disabled_reason text,
    add constraint rule_disabled_with_reason
        check ((disabled_at is null) = (disabled_reason is null));
