#!/bin/sh
# Measures the cost of the middleware per request. Usage: bench.sh [VENV]; see environment.sh.
set -eu
. "$(dirname "$0")/environment.sh"
exec "$venv/bin/python" -m bench
