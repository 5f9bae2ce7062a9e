//! Paths that scanners try, and that nothing leads to.

use super::BotRule;

/// How such paths begin, in lower case.
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

/// What such paths contain or end with, in lower case.
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

/// Nobody looks at more of a path.
const MAX_CHECKED_PATH_BYTES: usize = 512;

pub(super) fn judge(path: &str) -> Option<BotRule> {
    let path = path[..path.floor_char_boundary(MAX_CHECKED_PATH_BYTES)].to_ascii_lowercase();
    let probes = PROBE_PREFIXES.iter().any(|mark| path.starts_with(mark))
        // Each of them has one of these; most paths have none.
        || (path.contains(['.', '-']) && PROBE_FRAGMENTS.iter().any(|mark| path.contains(mark)));
    probes.then_some(BotRule::ProbePath)
}
