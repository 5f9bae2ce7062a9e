//! The rule about paths that scanners request and to which no link leads.

use super::BotRule;

/// Prefixes of such paths, in lower case.
const PROBE_PREFIXES: [&str; 22] = [
    "/.env",
    "/.git/",
    "/.svn/",
    "/.hg/",
    "/.aws/",
    "/.ssh/",
    "/.vscode/",
    "/.ds_store",
    "/.htpasswd",
    "/.htaccess",
    "/cgi-bin/",
    "/phpmyadmin",
    "/pma/",
    "/vendor/phpunit",
    "/actuator/",
    "/solr/admin",
    "/hnap1",
    "/boaform",
    "/owa/auth",
    "/autodiscover/autodiscover",
    "/server-status",
    "/_ignition/",
];

/// Substrings of such paths, in lower case. Each contains `.` or `-`.
const PROBE_FRAGMENTS: [&str; 12] = [
    "wp-login.php",
    "wp-config",
    "xmlrpc.php",
    "/wp-includes/",
    "/wp-content/plugins/",
    "wlwmanifest.xml",
    "../etc/passwd",
    "phpinfo.php",
    "eval-stdin.php",
    "/.env",
    "/.git/config",
    "/web.config",
];

/// The rest of a longer path is ignored.
const MAX_CHECKED_PATH_BYTES: usize = 512;

pub(super) fn evaluate(path: &str) -> Option<BotRule> {
    let path = path[..path.floor_char_boundary(MAX_CHECKED_PATH_BYTES)].to_ascii_lowercase();
    let probes = PROBE_PREFIXES.iter().any(|mark| path.starts_with(mark))
        // Skips the search for most paths.
        || (path.contains(['.', '-']) && PROBE_FRAGMENTS.iter().any(|mark| path.contains(mark)));
    probes.then_some(BotRule::ProbePath)
}
