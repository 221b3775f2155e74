#!/usr/bin/env bash
# Builds the site into build/site; a warning is an error. With `serve` shows it while you write:
#   scripts/docs.sh [serve]
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/setup.sh"
make_venv
install_extras site
cd "$ROOT"
command=(build --strict)
[[ "${1:-}" != serve ]] || command=(serve)
exec "$PYTHON" -m mkdocs "${command[@]}" --config-file scripts/book/mkdocs.yml
