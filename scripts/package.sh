#!/usr/bin/env bash
# Makes dist/dpnn.zip for spark-submit --py-files: dpnn and threadpoolctl, all that executors with
# Python, NumPy and pyarrow lack.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/setup.sh"
case ${1:-} in -*)
  echo "usage: scripts/package.sh [FILE]   (dist/dpnn.zip)" >&2
  [[ $1 == -h || $1 == --help ]] && exit 0 || exit 2 ;;
esac
make_venv
install_extras ""
exec "$PYTHON" "$ROOT/scripts/package.py" "${1:-$ROOT/dist/dpnn.zip}"
