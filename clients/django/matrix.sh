#!/bin/sh
# Tests the package with every supported pair of Python and Django whose interpreter is installed.
# Usage: matrix.sh FOLDER [PYTEST ARGUMENTS]; FOLDER holds the virtual environments.
set -eu
folder=${1:?usage: matrix.sh FOLDER [PYTEST ARGUMENTS]}
shift
case ${TETRALTO_BIN:-/} in /*) ;; *) export TETRALTO_BIN="$PWD/$TETRALTO_BIN" ;; esac
mkdir -p "$folder"
folder=$(cd "$folder" && pwd)
cd "$(dirname "$0")"

for pair in 3.10:4.2 3.10:5.2 3.11:4.2 3.11:5.2 3.12:4.2 3.12:5.2 3.12:6.0 3.13:5.2 3.13:6.0 3.13:6.1; do
    python=python${pair%:*}
    django=${pair#*:}
    "$python" --version >/dev/null 2>&1 || {
        echo "== $python is not installed" >&2
        continue
    }
    venv=$folder/python${pair%:*}-django$django
    [ -x "$venv/bin/pip" ] || "$python" -m venv "$venv"
    "$venv/bin/pip" install --quiet --disable-pip-version-check --editable '.[test,servers]' \
        "django~=$django.0"
    . ./markers.sh
    [ -n "${TETRALTO_BIN:-}" ] || without "built system (TETRALTO_BIN)" system
    echo "== Python ${pair%:*}, Django $django"
    "$venv/bin/pytest" -q -p no:cacheprovider -m "$markers" "$@"
done
