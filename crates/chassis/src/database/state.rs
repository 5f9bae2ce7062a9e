//! Which errors speak of the server's state, and which of a statement.

/// Whether the database cannot do this now, so that the same may succeed later: it is out of reach,
/// out of room, read-only, refuses us, or is not set up. Anything else is our mistake or the data's.
#[must_use]
pub fn is_away(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Database(error) => error.code().is_some_and(|code| is_state_of_server(&code)),
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

/// Whether an SQLSTATE speaks of the server or its set-up and not of a statement (PostgreSQL,
/// appendix A).
fn is_state_of_server(code: &str) -> bool {
    match &code[..2.min(code.len())] {
        // Connections; transactions, such as a read-only one or one that was idle for too long;
        // authorization; missing databases and schemas; serialization failures and deadlocks;
        // resources; objects in use; operators; the system; internal errors.
        "08" | "25" | "28" | "3D" | "3F" | "40" | "53" | "55" | "57" | "58" | "XX" => true,
        // Rights, tables, columns and functions that are missing: `migrate` has not run, or roles
        // are wrong.
        "42" => matches!(code, "42501" | "42P01" | "42703" | "42883"),
        _ => false,
    }
}

/// What `GET /health` says about an error. The server's own text stays in the log: it may hold names
/// and addresses.
pub(super) fn describe(error: &sqlx::Error) -> &'static str {
    let Some(error) = error.as_database_error() else {
        return match error {
            sqlx::Error::PoolTimedOut => "no connection within the time limit",
            _ => "no connection",
        };
    };
    let code = error.code().unwrap_or_default();
    match (&code[..2.min(code.len())], code.as_ref()) {
        (_, "25006") => "read-only: writes are refused (25006)",
        (_, "53100") => "its disk is full (53100)",
        (_, "53300") => "it has too many connections (53300)",
        (_, "57P03") => "it is starting up or shutting down (57P03)",
        (_, "42501") => "the role of DATABASE_URL lacks rights (42501)",
        ("28", _) => "it refuses the role or password of DATABASE_URL (28)",
        ("3D", _) => "the database of DATABASE_URL does not exist (3D000)",
        ("53", _) => "it is out of resources (53)",
        _ => "it refuses what it is asked",
    }
}

/// Whether a pooler refused the settings that a connection starts with, which PostgreSQL itself never
/// does in these words.
pub(super) fn is_startup_option_refused(error: &sqlx::Error) -> bool {
    let error = error.as_database_error();
    error.is_some_and(|error| error.message().contains("unsupported startup parameter"))
}

#[cfg(test)]
mod tests {
    use super::is_state_of_server;

    #[test]
    fn a_server_that_refuses_is_told_from_a_bad_statement() {
        for code in [
            "25006", "28P01", "28000", "3D000", "42P01", "42501", "53100", "57P03", "25P03",
        ] {
            assert!(is_state_of_server(code), "{code}");
        }
        for code in ["22001", "23505", "42601", "42804", "P0001", ""] {
            assert!(!is_state_of_server(code), "{code}");
        }
    }
}
