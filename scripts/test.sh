#!/usr/bin/env bash
# Sets up the test extras and runs the tests; arguments go to pytest. Without any the tests marked
# `connect` run a second time, over Spark Connect (scripts/test.sh --connect runs just these).
# Slow tests and tests that start clusters are left out: scripts/test.sh -m '' runs all.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/setup.sh"
set_up "${DPNN_EXTRAS:-test,connect}"
cd "$ROOT"
[[ $# -gt 0 ]] || "$PYTHON" -m pytest
exec "$PYTHON" -m pytest "${@:---connect}"
