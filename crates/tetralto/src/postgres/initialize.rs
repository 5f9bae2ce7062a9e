//! Creates a new cluster.

use std::{
    fs,
    io::{ErrorKind, Write as _},
    path::Path,
    process::{Command, Stdio},
};

use super::{
    SUPERUSER,
    account::OsAccount,
    binaries::PostgresBinaries,
    error::{PostgresError, at, last_lines},
    place::beside,
    server::command,
    socket::make_private,
};

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
    let fresh = beside(data_dir, "new");
    match fs::remove_dir_all(&fresh) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            return Err(at("delete", &fresh)(error));
        }
        _ => make_private(&fresh, account)?,
    }

    let initdb = binaries.program("initdb");
    let mut command_line = command(&initdb, account);
    command_line
        .arg("-D")
        .arg(&fresh)
        .args(["--username", SUPERUSER, "--auth=trust", "--encoding=UTF8"])
        .args(["--locale=C", "--lc-ctype", CHARACTER_TYPE]);
    if !durable {
        command_line.arg("--no-sync");
    }
    run(&initdb, command_line, "")?;

    // Single-user mode: runs one statement without a socket.
    let postgres = binaries.program("postgres");
    let mut command_line = command(&postgres, account);
    command_line.arg("--single").arg("-D").arg(&fresh);
    if !durable {
        command_line.args(["-c", "fsync=off"]);
    }
    command_line.arg("postgres");
    run(
        &postgres,
        command_line,
        &format!("create database {SUPERUSER}\n"),
    )?;

    fs::rename(&fresh, data_dir).map_err(at("move into place", data_dir))
}

fn run(program: &Path, mut command: Command, input: &str) -> Result<(), PostgresError> {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(at("run", program))?;
    if let Some(mut stdin) = child.stdin.take() {
        // If the program exits without reading, its output contains the reason.
        let _ = stdin.write_all(input.as_bytes());
    }
    let output = child.wait_with_output().map_err(at("run", program))?;
    let said = [output.stdout, output.stderr].concat();
    // The single-user server exits with success even if a statement fails.
    if output.status.success() && !String::from_utf8_lossy(&said).contains("ERROR:") {
        return Ok(());
    }
    Err(PostgresError::Failed {
        program: program.to_path_buf(),
        status: output.status,
        output: last_lines(&said),
    })
}
