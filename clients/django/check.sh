#!/bin/sh
# Checks the package: lint, format, types, tests. Usage: check.sh [VENV] (default: .venv here).
# PYTHON chooses the interpreter of a new environment, TETRALTO_BIN the system to test against.
set -eu

venv=${1:-$(dirname "$0")/.venv}
case $venv in /*) ;; *) venv=$PWD/$venv ;; esac
case ${TETRALTO_BIN:-/} in /*) ;; *) export TETRALTO_BIN="$PWD/$TETRALTO_BIN" ;; esac
cd "$(dirname "$0")"

if [ ! -x "$venv/bin/pip" ]; then
    "${PYTHON:-python3}" -m venv "$venv" || {
        echo "check.sh: no virtual environment; on Debian: apt-get install python3-venv" >&2
        exit 1
    }
fi
if [ ! "$venv/.installed" -nt pyproject.toml ]; then
    "$venv/bin/pip" install --quiet --disable-pip-version-check --editable '.[test]'
    touch "$venv/.installed"
fi

"$venv/bin/ruff" check .
"$venv/bin/ruff" format --check .
"$venv/bin/mypy"
"$venv/bin/pytest" -q
