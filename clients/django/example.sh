#!/bin/sh
# Starts the example site; needs the running system. Usage: example.sh [VENV]; see environment.sh.
set -eu
. "$(dirname "$0")/environment.sh"
exec "$venv/bin/python" example/manage.py runserver
