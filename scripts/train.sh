#!/usr/bin/env bash
# Sets up dpnn and trains through spark-submit, on this machine unless DPNN_MASTER says otherwise:
#   scripts/train.sh [RUN_FILE] [--set section.key=value ...]
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/setup.sh"
set_up ""
export DPNN_MASTER="${DPNN_MASTER:-local[*]}"
exec "$ROOT/scripts/submit.sh" "$ROOT/jobs/train.py" "$@"
