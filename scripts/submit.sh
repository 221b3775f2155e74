#!/usr/bin/env bash
# spark-submit with the project's properties and a quiet log:
#   scripts/submit.sh jobs/evaluate.py --model runs/digits/model.safetensors --data DIR
# DPNN_MASTER is the master URL (local[*] when unset), DPNN_SUBMIT more options for spark-submit.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/setup.sh"
set_up ""
log4j="-Dlog4j2.configurationFile=\"file:$ROOT/conf/log4j2.properties\"" # the path may have spaces
# shellcheck disable=SC2086 # DPNN_SUBMIT is a list of options
exec "$VENV/bin/spark-submit" \
  --master "${DPNN_MASTER:-local[*]}" \
  --properties-file "$ROOT/conf/spark-defaults.conf" \
  --driver-java-options "$log4j" \
  ${DPNN_SUBMIT:-} "$@"
