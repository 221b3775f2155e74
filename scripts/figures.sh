#!/usr/bin/env bash
# Measures every number and draws every picture of the book anew:
#   scripts/figures.sh [CHAPTER ...]    e.g. scripts/figures.sh 1 2; readme for README's pictures
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/setup.sh"
extras=docs
[[ $# -gt 0 && " $* " != *" 4 "* ]] || extras=docs,bench # chapter 4 looks into torch
set_up "$extras"
cd "$ROOT"
exec "$PYTHON" scripts/book/draw.py "$@"
