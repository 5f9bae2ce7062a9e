# Finds out which tests can run here; sourced with the virtual environment in $venv. Leaves the
# expression for pytest in $markers, and says what is left out.
markers=""
without() {
    echo "No $1 here: what needs it is not tested." >&2
    markers="${markers:+$markers and }not $2"
}

PYTHONPATH=tests "$venv/bin/python" -c 'import browser; browser.find_browser()' 2>/dev/null ||
    without Chromium browser
"$venv/bin/python" -c 'import eventlet' 2>/dev/null || without eventlet eventlet
[ -x "$venv/bin/uwsgi" ] || without uWSGI uwsgi
