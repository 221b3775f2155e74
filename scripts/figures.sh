#!/usr/bin/env bash
# Measures every number and draws every picture of the book and of README anew:
#   scripts/figures.sh [--data FOLDER] [NAME ...]
# NAMEs are chapters (1 to 6), benchmarks that pages quote (exchange, nn, ...), the pages on tables
# (a-table-in-ten-lines, from-mllib) and readme, for README's blocks and pictures; without any, all.
# FOLDER has mnist/, adult/ and california/ as Parquet; what needs it is left as it is without.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/setup.sh"
set_up docs,bench,connect
cd "$ROOT"
exec "$PYTHON" scripts/book/draw.py "$@"
