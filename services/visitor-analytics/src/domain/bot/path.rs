//! Paths that scanners try, and that nothing leads to.

use super::Reason;

/// How such paths begin, in lower case.
const BEGINNINGS: [&str; 22] = [
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
const ANYWHERE: [&str; 12] = [
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
const LONGEST: usize = 512;

pub(super) fn judge(path: &str) -> Option<Reason> {
    let path = path[..path.floor_char_boundary(LONGEST)].to_ascii_lowercase();
    let probes = BEGINNINGS.iter().any(|mark| path.starts_with(mark))
        // Each of them has one of these; most paths have none.
        || (path.contains(['.', '-']) && ANYWHERE.iter().any(|mark| path.contains(mark)));
    probes.then_some(Reason::ProbePath)
}
