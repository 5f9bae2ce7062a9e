#!/bin/sh
# Checks the package: lint, format, types, wheel, tests. Usage: check.sh [VENV]; see environment.sh.
# TETRALTO_BIN names the system to test against. The test in a browser runs where there is one.
set -eu
. "$(dirname "$0")/environment.sh"

"$venv/bin/ruff" check .
"$venv/bin/ruff" format --check .
"$venv/bin/mypy"
wheel=$(mktemp -d)
trap 'rm -rf "$wheel"' EXIT
"$venv/bin/python" -m build --wheel --outdir "$wheel" . >/dev/null
"$venv/bin/python" -m zipfile -l "$wheel"/*.whl >"$wheel/content"
for name in page.js py.typed management/commands/tetralto_check.py templatetags/tetralto.py; do
    grep -q "tetralto_visits/$name" "$wheel/content" || {
        echo "check.sh: the wheel lacks $name" >&2
        exit 1
    }
done

if PYTHONPATH=tests "$venv/bin/python" -c 'import browser; browser.find_browser()' 2>/dev/null; then
    "$venv/bin/pytest" -q
else
    echo "check.sh: no Chromium here, so the page script is not tried in a browser" >&2
    "$venv/bin/pytest" -q -m "not browser"
fi
