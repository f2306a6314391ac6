#!/bin/sh
# Prints an interpreter that camgraph supports and that can make virtual environments.
# Names are tried, not only looked up: a shim of a version manager may exist without its interpreter.
set -eu

supported='
import ensurepip, sys, venv
sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 15))
'
for name in python3 python python3.14 python3.13 python3.12 python3.11; do
    if "$name" -c "$supported" >/dev/null 2>&1; then
        command -v "$name"
        exit 0
    fi
done
echo "No Python 3.11 to 3.14 with the modules venv and ensurepip was found." \
    "Install one (on Debian and Ubuntu: python3-venv), or name it: make PYTHON=/path/to/python3 ..." >&2
exit 1
