#!/bin/sh
# Prepares a checkout: .venv with the pinned requirements, the SQL driver's system libraries, the sandbox's Azurite.
# Writes inside the checkout and package caches only, apart from missing system libraries when run as root.
set -eu
cd "$(dirname "$0")/.."
ready=.venv/.ready

say() { printf '%s\n' "$*"; }
die() { printf 'setup: %s\n' "$*" >&2; exit 1; }

inputs_hash() {
    { pwd; .venv/bin/python -V; cat requirements-dev.txt pyproject.toml sandbox/package-lock.json scripts/setup.sh; } |
        sha256sum | cut -d' ' -f1
}

is_ready() {
    [ -x .venv/bin/python ] && [ -f "$ready" ] && [ -d sandbox/.node ] && [ "$(cat "$ready")" = "$(inputs_hash)" ]
}

# A shim named python3.12 may exist and not run, and Debian's python3 lacks ensurepip until python3-venv is installed.
usable() {
    "$1" -c 'import sys, venv, ensurepip, sqlite3; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' >/dev/null 2>&1
}

find_python() {
    for name in ${PYTHON:-} python3.12 python3.11 python3.13 python3; do
        if usable "$name"; then say "$name"; return; fi
    done
    die "no Python 3.11 to 3.13 with venv found. On Debian: apt-get install python3 python3-venv; or set PYTHON=/path/to/python"
}

has_library() { "$1" -c 'import ctypes, sys; ctypes.CDLL(sys.argv[1])' "$2" >/dev/null 2>&1; }

missing_packages() {
    has_library "$1" libltdl.so.7 || printf 'libltdl7 '
    has_library "$1" libodbc.so.2 || printf 'libodbc2 ' # pyodbc, which only tests use
    has_library "$1" libkrb5.so.3 || printf 'libkrb5-3 '
    has_library "$1" libgssapi_krb5.so.2 || printf 'libgssapi-krb5-2 '
}

install_system_libraries() {
    missing=$(missing_packages "$1")
    [ -n "$missing" ] || return 0
    [ "$(id -u)" -eq 0 ] && command -v apt-get >/dev/null ||
        die "the SQL Server driver needs system libraries. Run this, then again what you ran: sudo apt-get install -y $missing"
    say "Installing system libraries: $missing"
    # shellcheck disable=SC2086 # one word per package
    DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends $missing ||
        { apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends $missing; }
    [ -z "$(missing_packages "$1")" ] || die "still missing after apt-get: $(missing_packages "$1")"
}

make_venv() {
    if [ -x .venv/bin/python ] && usable .venv/bin/python && .venv/bin/python -m pip --version >/dev/null 2>&1; then return; fi
    say "Creating .venv with $1"
    rm -rf .venv
    "$1" -m venv .venv
}

# The first value pip itself would use: its environment comes before its files in this list.
pip_setting() {
    .venv/bin/python -m pip config list | sed -n "s/^[^=]*[.]$1='\(.*\)'$/\1/p" | head -n 1 | sed 's/\\n/ /g; s/^ *//'
}

# uv reads none of pip's settings; it is handed them, so that a machine set up for pip behind a mirror works unchanged.
use_pip_settings() {
    index=$(pip_setting index-url); extra=$(pip_setting extra-index-url)
    links=$(pip_setting find-links | tr ' ' ','); cert=$(pip_setting cert)
    [ -z "$index" ] || export UV_DEFAULT_INDEX="${UV_DEFAULT_INDEX:-$index}"
    [ -z "$extra" ] || export UV_INDEX="${UV_INDEX:-$extra}" UV_INDEX_STRATEGY="${UV_INDEX_STRATEGY:-unsafe-best-match}"
    [ -z "$links" ] || export UV_FIND_LINKS="${UV_FIND_LINKS:-$links}"
    [ -z "$cert" ] || export SSL_CERT_FILE="${SSL_CERT_FILE:-$cert}"
}

install_requirements() {
    uv=$(sed -n 's/^\(uv==[^ ]*\).*/\1/p' requirements-dev.txt)
    say "Installing $(grep -c '^[a-z]' requirements-dev.txt) pinned packages"
    .venv/bin/python -m pip install --quiet --disable-pip-version-check "$uv"
    use_pip_settings
    VIRTUAL_ENV=$PWD/.venv .venv/bin/uv pip install --quiet -r requirements-dev.txt || {
        say "uv could not install them; trying pip, which is slower"
        .venv/bin/python -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
    }
    .venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
}

install_azurite() {
    say "Installing Azurite into sandbox/.node"
    .venv/bin/python -c 'from sandbox.adls import install; install()'
}

is_ready && exit 0
python=$(find_python)
install_system_libraries "$python"
make_venv "$python"
install_requirements
install_azurite
inputs_hash > "$ready"
say "Ready: $(.venv/bin/python -V) in .venv"
