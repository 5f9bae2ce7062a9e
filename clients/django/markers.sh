# Determines which tests can run on this machine. Source this file with the virtual environment in
# $venv. Sets $markers, an expression for pytest -m, and prints which tests are skipped.
markers=""
without() {
    echo "$1 is not available: skipping the tests that need it" >&2
    markers="${markers:+$markers and }not $2"
}

PYTHONPATH=tests "$venv/bin/python" -c 'import browser; browser.find_browser()' 2>/dev/null ||
    without Chromium browser
"$venv/bin/python" -c 'import eventlet' 2>/dev/null || without eventlet eventlet
[ -x "$venv/bin/uwsgi" ] || without uWSGI uwsgi
