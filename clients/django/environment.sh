# Makes the environment of the package's checks and measurements; sourced with the folder of the
# virtual environment as $1 (default: .venv here). Leaves $venv, and the package's folder as the
# current one. PYTHON chooses the interpreter of a new environment, DJANGO its version ("~=4.2.0").
venv=${1:-$(dirname "$0")/.venv}
case $venv in /*) ;; *) venv=$PWD/$venv ;; esac
case ${TETRALTO_BIN:-/} in /*) ;; *) export TETRALTO_BIN="$PWD/$TETRALTO_BIN" ;; esac
cd "$(dirname "$0")"

if [ ! -x "$venv/bin/pip" ]; then
    "${PYTHON:-python3}" -m venv "$venv" || {
        echo "$0: no virtual environment; on Debian: apt-get install python3-venv" >&2
        exit 1
    }
fi
if [ ! "$venv/.installed" -nt pyproject.toml ]; then
    echo "$0: installing what the package is developed with" >&2
    "$venv/bin/pip" install --quiet --disable-pip-version-check \
        --editable '.[test]' "django${DJANGO:-}"
    touch "$venv/.installed"
fi
