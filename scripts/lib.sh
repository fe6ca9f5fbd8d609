# Sourced by the scripts beside it: finds Python and keeps the virtual environment in step with the lock file.
#
# PYTHON     the Python to use (3.11 or newer; default: the first one on PATH)
# AMI_VENV   where the virtual environment lies (default: .venv in the checkout)
# shellcheck shell=bash

set -euo pipefail

ROOT="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)"
VENV="${AMI_VENV:-$ROOT/.venv}"
LOCKED="$ROOT/requirements/dev.txt"
STAMP="$VENV/.installed"
VERSION_OF='import sys; print("%d.%d" % sys.version_info[:2])'

case "${1:-}" in
-h | --help)
    sed -n '2,/^$/s/^# \{0,1\}//p' "$0" # the comment at the head of the script that sourced this
    exit
    ;;
esac

fail() {
    printf '%s\n' "$*" >&2
    exit 1
}

find_python() {
    local name names=(python3 python3.14 python3.13 python3.12 python3.11)
    [ -z "${PYTHON:-}" ] || names=("$PYTHON")
    for name in "${names[@]}"; do
        if "$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            command -v "$name"
            return
        fi
    done
    fail "Python 3.11 or newer is needed. Install it, or set PYTHON to its path${PYTHON:+ (now it is $PYTHON)}."
}

# What the stamp says when the environment is as it should be: the Python version and the whole lock file.
wanted() {
    "${PYTHON:-$VENV/bin/python}" -c "$VERSION_OF" && cat "$LOCKED"
}

is_current() {
    [ -x "$VENV/bin/python" ] && wanted 2>/dev/null | cmp -s - "$STAMP" && "$VENV/bin/python" -c ''
}

# Makes the virtual environment, or brings it up to date; costs next to nothing if there is nothing to do.
set_up() {
    [ -w "$ROOT" ] || fail "You cannot write to $ROOT. Clone the repository into a folder of your own."
    is_current && return
    local python advice="Set AMI_VENV to a folder of yours, for instance AMI_VENV=~/.cache/ami-venv"
    python="$(find_python)"
    mkdir -p "$VENV" 2>/dev/null && [ -w "$VENV" ] || fail "The virtual environment $VENV cannot be written. $advice"
    exec 9>"$VENV/.lock"
    if command -v flock >/dev/null; then flock 9; fi
    is_current && return # somebody else has just done it

    printf 'Installing Python packages into %s; this is done once and takes a minute or two ...\n' "$VENV" >&2
    rm -f "$STAMP"
    if [ "$("$VENV/bin/python" -c "$VERSION_OF" 2>/dev/null)" != "$("$python" -c "$VERSION_OF")" ]; then
        "$python" -m venv --clear "$VENV" >"$VENV/.log" 2>&1 ||
            fail "$python cannot make a virtual environment. On Debian and Ubuntu: apt install python3-venv"
    fi
    "$VENV/bin/python" -m pip install --quiet --disable-pip-version-check --no-input --require-hashes --no-deps \
        -r "$LOCKED" >"$VENV/.log" 2>&1 || {
        tail -n 15 "$VENV/.log" >&2
        fail "The packages could not be installed; the whole story is in $VENV/.log"
    }
    PYTHON='' wanted >"$STAMP"
    exec 9>&-
}
