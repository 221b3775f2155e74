#!/usr/bin/env bash
# Sets up the test extras and runs the tests; arguments go to pytest. Without any the tests marked
# `connect` run a second time, over Spark Connect. All that can: scripts/test.sh --connect, or on
# executors of their own scripts/test.sh --connect='local-cluster[2,1,1024]'.
# Slow tests and tests that start clusters are left out: scripts/test.sh -m '' runs all.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/setup.sh"
set_up "${DPNN_EXTRAS:-test,connect}"
cd "$ROOT"
[[ $# -gt 0 ]] || "$PYTHON" -m pytest
[[ $# -gt 0 ]] || set -- --connect -m connect
exec "$PYTHON" -m pytest "$@"
