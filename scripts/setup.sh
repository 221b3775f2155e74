# shellcheck shell=bash
# Sourced by the other scripts. After `set_up EXTRAS` there is .venv with dpnn and the extras
# (comma-separated, may be empty), $PYTHON is its interpreter and Java is there. Installs only what
# pyproject.toml and the extras ask for anew, so that a second call starts at once.

ROOT="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
VENV="$ROOT/.venv"
PYTHON="$VENV/bin/python"

say() { printf '%s\n' "$*" >&2; }

fail() {
  say "$*"
  exit 1
}

is_new_enough() {
  "$1" -c 'import sys; raise SystemExit(sys.version_info < (3, 11))' 2>/dev/null
}

find_python() {
  local candidate
  for candidate in ${DPNN_PYTHON:-} python3 python3.13 python3.12 python3.11 python; do
    if command -v "$candidate" >/dev/null && is_new_enough "$candidate"; then
      printf '%s' "$candidate"
      return
    fi
  done
  fail "dpnn needs Python 3.11 or newer, found $(python3 -V 2>&1 || true):" \
    "install one and name it with DPNN_PYTHON=/path/to/python3"
}

make_venv() {
  local python
  [[ -x "$PYTHON" ]] && is_new_enough "$PYTHON" && return
  python="$(find_python)"
  say "making $VENV with $("$python" -V)"
  "$python" -m venv --clear "$VENV" ||
    fail "$python cannot make virtual environments: install its venv module (python3-venv)"
}

# The stamp names the hash of pyproject.toml and every extra installed under it.
install_extras() {
  local stamp="$VENV/dpnn-installed" hash have extra wanted=""
  hash="$("$PYTHON" -c 'import hashlib, sys
print(hashlib.sha256(open(sys.argv[1], "rb").read() + sys.argv[2].encode()).hexdigest())' \
    "$ROOT/pyproject.toml" "$ROOT")"
  have="$(cat "$stamp" 2>/dev/null || true)"
  [[ "$have" == "$hash "* ]] || have="$hash "
  for extra in ${1//,/ }; do
    [[ " ${have#* } " == *" $extra "* ]] || wanted="$wanted $extra"
  done
  [[ -f "$stamp" && -z "$wanted" && "$have" == "$(cat "$stamp")" ]] && return
  wanted="${wanted# }"
  say "installing dpnn${wanted:+ with $wanted}"
  "$PYTHON" -m pip install --quiet --disable-pip-version-check \
    --editable "$ROOT${wanted:+[${wanted// /,}]}" || fail "pip could not install dpnn: see above"
  printf '%s' "$have${wanted:+$wanted }" >"$stamp"
}

java_version() {
  "$1" -version 2>&1 | sed -n 's/.*version "\([0-9]*\).*/\1/p' | head -n 1
}

find_java() {
  local home version
  for home in "${JAVA_HOME:-}" "$(dirname "$(dirname "$(readlink -f "$(command -v java || true)")")")" \
    /usr/lib/jvm/*; do
    [[ -n "$home" && -x "$home/bin/java" ]] || continue
    version="$(java_version "$home/bin/java")"
    if [[ "$version" == 17 || "$version" == 21 ]]; then
      export JAVA_HOME="$home"
      return 0
    fi
  done
  return 1
}

have_java() {
  find_java && return
  if [[ "$(id -u)" == 0 ]] && command -v apt-get >/dev/null; then
    say "installing Java 17 (openjdk-17-jre-headless)"
    { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq \
      openjdk-17-jre-headless; } >/dev/null || true
    find_java && return
  fi
  fail "Spark needs Java 17 or 21: install e.g. openjdk-17-jre-headless, or set JAVA_HOME"
}

set_up() {
  make_venv
  install_extras "${1:-}"
  have_java
  export PYSPARK_PYTHON="$PYTHON" PYSPARK_DRIVER_PYTHON="$PYTHON"
  # The one that pip installed; its own way to find it fails where the path has spaces.
  SPARK_HOME="$("$PYTHON" -c "import os, pyspark; print(os.path.dirname(pyspark.__file__))")"
  export SPARK_HOME
}
