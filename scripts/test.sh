#!/usr/bin/env bash
# Sets up the test extras and runs the tests; arguments go to pytest.
# Slow tests and tests that start clusters are left out: scripts/test.sh -m '' runs all.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/setup.sh"
set_up "${DPNN_EXTRAS:-test}"
cd "$ROOT"
exec "$PYTHON" -m pytest "$@"
