#!/bin/sh
# Checks the package: lint, format, types, wheel, tests. Usage: check.sh [VENV]; see environment.sh.
# TETRALTO_BIN names the tetralto binary for tests against the real system. Tests that need
# Chromium, eventlet or uWSGI are skipped if these are not installed.
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
        echo "check.sh: $name is missing in the wheel" >&2
        exit 1
    }
done

. ./markers.sh
"$venv/bin/pytest" -q -m "$markers"
