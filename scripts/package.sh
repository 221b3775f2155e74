#!/usr/bin/env bash
# Makes dist/dpnn.zip for spark-submit --py-files: dpnn and threadpoolctl, all that executors with
# Python, NumPy and pyarrow lack.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/setup.sh"
make_venv
install_extras ""
exec "$PYTHON" "$ROOT/scripts/package.py" "${1:-$ROOT/dist/dpnn.zip}"
