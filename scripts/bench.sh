#!/usr/bin/env bash
# Runs one benchmark: scripts/bench.sh NAME [ARGUMENTS], for scripts/bench/NAME.py
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/setup.sh"
benches="$(cd "$ROOT/scripts/bench" && for f in [!_]*.py; do printf '%s ' "${f%.py}"; done)"
[[ $# -ge 1 && " $benches " == *" $1 "* ]] || fail "which benchmark? scripts/bench.sh [ $benches]"
set_up bench
name="$1"
shift
cd "$ROOT"
exec "$PYTHON" "scripts/bench/$name.py" "$@"
