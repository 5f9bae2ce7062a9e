//! Creates a new cluster.

use std::{
    fs,
    io::{ErrorKind, Write as _},
    path::Path,
    process::{Command, Stdio},
};

use super::{
    account::OsAccount,
    binaries::PostgresBinaries,
    data_dir::sibling,
    error::{PostgresError, io_error, last_lines},
    server::postgres_command,
    socket::create_private_dir,
};

/// Name of the superuser and of the only database.
pub const SUPERUSER: &str = "tetralto";

/// With the collation `C`, text compares by bytes, as in Rust. This character type makes `lower`
/// and `upper` work for letters beyond ASCII.
const CHARACTER_TYPE: &str = if cfg!(target_os = "macos") {
    "UTF-8"
} else {
    "C.UTF-8"
};

/// Creates the cluster and its database in a temporary folder and renames the folder when it is
/// complete. An interrupted start therefore leaves no incomplete cluster.
pub fn initialize(
    binaries: &PostgresBinaries,
    data_dir: &Path,
    account: Option<OsAccount>,
    durable: bool,
) -> Result<(), PostgresError> {
    let fresh = sibling(data_dir, "new");
    match fs::remove_dir_all(&fresh) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            return Err(io_error("delete", &fresh)(error));
        }
        _ => create_private_dir(&fresh, account)?,
    }

    let initdb = binaries.program("initdb");
    let mut command_line = postgres_command(&initdb, account);
    command_line
        .arg("-D")
        .arg(&fresh)
        .args(["--username", SUPERUSER, "--auth=trust", "--encoding=UTF8"])
        .args(["--locale=C", "--lc-ctype", CHARACTER_TYPE]);
    if !durable {
        command_line.arg("--no-sync");
    }
    run_program(&initdb, command_line, "")?;

    // Single-user mode: runs one statement without a socket.
    let postgres = binaries.program("postgres");
    let mut command_line = postgres_command(&postgres, account);
    command_line.arg("--single").arg("-D").arg(&fresh);
    if !durable {
        command_line.args(["-c", "fsync=off"]);
    }
    command_line.arg("postgres");
    run_program(
        &postgres,
        command_line,
        &format!("create database {SUPERUSER}\n"),
    )?;

    fs::rename(&fresh, data_dir).map_err(io_error("move into place", data_dir))
}

fn run_program(program: &Path, mut command: Command, input: &str) -> Result<(), PostgresError> {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(io_error("run", program))?;
    if let Some(mut stdin) = child.stdin.take() {
        // If the program exits without reading, its output contains the reason.
        let _ = stdin.write_all(input.as_bytes());
    }
    let output = child.wait_with_output().map_err(io_error("run", program))?;
    let said = [output.stdout, output.stderr].concat();
    // The single-user server exits with success even if a statement fails.
    if output.status.success() && !String::from_utf8_lossy(&said).contains("ERROR:") {
        return Ok(());
    }
    Err(PostgresError::ProgramFailed {
        program: program.to_path_buf(),
        status: output.status,
        output: last_lines(&said),
    })
}
