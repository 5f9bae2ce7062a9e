#!/bin/sh
# Measures what the middleware costs a page. Usage: bench.sh [VENV]; see environment.sh.
set -eu
. "$(dirname "$0")/environment.sh"
exec "$venv/bin/python" -m bench
