# Creates the virtual environment for checks and benchmarks. Source this file; $1 is the folder of
# the environment (default: .venv in this folder). Sets $venv and changes to this folder. PYTHON
# selects the interpreter of a new environment, DJANGO the version of Django ("~=4.2.0").
venv=${1:-$(dirname "$0")/.venv}
case $venv in /*) ;; *) venv=$PWD/$venv ;; esac
case ${TETRALTO_BIN:-/} in /*) ;; *) export TETRALTO_BIN="$PWD/$TETRALTO_BIN" ;; esac
cd "$(dirname "$0")"

if [ ! -x "$venv/bin/pip" ]; then
    "${PYTHON:-python3}" -m venv "$venv" || {
        echo "$0: cannot create a virtual environment; on Debian: apt-get install python3-venv" >&2
        exit 1
    }
fi
if [ ! "$venv/.installed" -nt pyproject.toml ]; then
    echo "$0: installing the development dependencies" >&2
    "$venv/bin/pip" install --quiet --disable-pip-version-check \
        --editable '.[test]' "django${DJANGO:-}"
    touch "$venv/.installed"
fi
