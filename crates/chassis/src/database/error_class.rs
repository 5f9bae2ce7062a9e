//! Distinguishes errors of the server from errors of a statement.

/// Whether the same statement may succeed later: the database is unreachable, out of resources,
/// read-only, rejects the role, or is not migrated. Other errors are caused by the statement or its
/// data.
#[must_use]
pub fn is_unavailable(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Database(error) => error.code().is_some_and(|code| is_server_state(&code)),
        sqlx::Error::Io(_)
        | sqlx::Error::Tls(_)
        | sqlx::Error::Protocol(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed
        | sqlx::Error::BeginFailed
        | sqlx::Error::WorkerCrashed => true,
        _ => false,
    }
}

/// Whether an SQLSTATE is caused by the server or its setup and not by a statement (PostgreSQL
/// documentation, appendix A).
fn is_server_state(code: &str) -> bool {
    match &code[..2.min(code.len())] {
        // Connection exceptions; transaction state, such as read-only or idle timeout;
        // authorization; missing databases and schemas; serialization failures and deadlocks;
        // resources; objects in use; operator intervention; system errors; internal errors.
        "08" | "25" | "28" | "3D" | "3F" | "40" | "53" | "55" | "57" | "58" | "XX" => true,
        // Missing privileges, tables, columns and functions: `migrate` has not run, or the role is
        // wrong.
        "42" => matches!(code, "42501" | "42P01" | "42703" | "42883"),
        _ => false,
    }
}

/// The detail of the health check for an error. The message of the server is not used, because it
/// may contain names and addresses.
pub(super) fn describe_error(error: &sqlx::Error) -> &'static str {
    let Some(error) = error.as_database_error() else {
        return match error {
            sqlx::Error::PoolTimedOut => "no connection within the time limit",
            _ => "no connection",
        };
    };
    let code = error.code().unwrap_or_default();
    match (&code[..2.min(code.len())], code.as_ref()) {
        (_, "25006") => "read-only (25006)",
        (_, "53100") => "disk full (53100)",
        (_, "53300") => "too many connections (53300)",
        (_, "57P03") => "starting up or shutting down (57P03)",
        (_, "42501") => "the role of DATABASE_URL has insufficient privileges (42501)",
        ("28", _) => "the role or password of DATABASE_URL is rejected (28)",
        ("3D", _) => "the database of DATABASE_URL does not exist (3D000)",
        ("53", _) => "insufficient resources (53)",
        _ => "the check query failed; see the log of PostgreSQL",
    }
}

/// Whether a pooler rejected the startup parameters of a connection. PostgreSQL itself never sends
/// this message.
pub(super) fn is_startup_option_refused(error: &sqlx::Error) -> bool {
    let error = error.as_database_error();
    error.is_some_and(|error| error.message().contains("unsupported startup parameter"))
}

#[cfg(test)]
mod tests {
    use super::is_server_state;

    #[test]
    fn a_server_that_refuses_is_told_from_a_bad_statement() {
        for code in [
            "25006", "28P01", "28000", "3D000", "42P01", "42501", "53100", "57P03", "25P03",
        ] {
            assert!(is_server_state(code), "{code}");
        }
        for code in ["22001", "23505", "42601", "42804", "P0001", ""] {
            assert!(!is_server_state(code), "{code}");
        }
    }
}
