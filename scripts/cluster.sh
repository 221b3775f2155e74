#!/usr/bin/env bash
# A standalone Spark cluster on this machine, from the pyspark that pip installed:
#   scripts/cluster.sh start     prints the master URL once every worker has registered
#   scripts/cluster.sh status    says which processes live; status 1 when the cluster is not whole
#   scripts/cluster.sh stop
# Environment: DPNN_WORKERS (2), DPNN_CORES a worker (1), DPNN_MEMORY a worker (1g),
# DPNN_CLUSTER_DIR for process ids, logs and work (runs/cluster), DPNN_PORT (7077), DPNN_HOSTS
# (127.0.0.1): addresses that the workers take in turn. To Spark each is a host of its own.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/setup.sh"

RUN="${DPNN_CLUSTER_DIR:-$ROOT/runs/cluster}"
PORT="${DPNN_PORT:-7077}"
HOST=127.0.0.1
read -ra HOSTS <<<"${DPNN_HOSTS:-$HOST}"
URL="spark://$HOST:$PORT"
WAIT_S=90

# An id may be taken by another process since: only one whose command line is ours is alive.
alive() {
  local pid
  pid="$(cat "$1" 2>/dev/null)" && tr '\0' ' ' <"/proc/$pid/cmdline" 2>/dev/null |
    grep -q 'org.apache.spark.deploy'
}

launch() { # NAME CLASS ARGUMENTS...
  local name="$1" class="$2"
  shift 2
  nohup "$SPARK/bin/spark-class" "org.apache.spark.deploy.$class" "$@" \
    >"$RUN/$name.log" 2>&1 </dev/null &
  printf '%s' "$!" >"$RUN/$name.pid"
}

wait_for() { # NAME PATTERN COUNT
  local deadline=$((SECONDS + WAIT_S))
  until [[ "$(grep -c "$2" "$RUN/master.log" || true)" -ge "$3" ]]; do
    if ((SECONDS > deadline)) || ! alive "$RUN/$1.pid"; then
      tail -n 5 "$RUN/$1.log" >&2
      stop
      fail "$1 was not ready: its log is $RUN/$1.log"
    fi
    sleep 0.2
  done
}

start() {
  local i workers="${DPNN_WORKERS:-2}"
  if status >/dev/null; then
    printf '%s\n' "$URL"
    return
  fi
  stop
  set_up ""
  SPARK="$("$PYTHON" -c 'import os, pyspark; print(os.path.dirname(pyspark.__file__))')"
  export SPARK_HOME="$SPARK" SPARK_LOCAL_IP="$HOST"
  export PYTHONPATH="$ROOT${PYTHONPATH:+:$PYTHONPATH}" # tests start executors here, uninstalled
  mkdir -p "$RUN"
  launch master master.Master --host "$HOST" --port "$PORT" --webui-port 0
  wait_for master 'New state: ALIVE' 1
  for ((i = 0; i < workers; i++)); do
    mkdir -p "$RUN/worker-$i"
    SPARK_LOCAL_DIRS="$RUN/worker-$i/local" launch "worker-$i" worker.Worker \
      --host "${HOSTS[i % ${#HOSTS[@]}]}" --cores "${DPNN_CORES:-1}" \
      --memory "${DPNN_MEMORY:-1g}" --webui-port 0 --work-dir "$RUN/worker-$i" "$URL"
  done
  for ((i = 0; i < workers; i++)); do
    wait_for "worker-$i" 'Registering worker' "$workers"
  done
  printf '%s\n' "$URL"
}

status() {
  local pid_file whole=1
  [[ -f "$RUN/master.pid" ]] || {
    say "no cluster in $RUN"
    return 1
  }
  for pid_file in "$RUN"/*.pid; do
    if alive "$pid_file"; then
      say "$(basename "$pid_file" .pid): process $(cat "$pid_file")"
    else
      say "$(basename "$pid_file" .pid): gone"
      whole=0
    fi
  done
  [[ $whole == 1 ]] && printf '%s\n' "$URL"
}

stop() {
  local pid_file deadline=$((SECONDS + 20))
  for pid_file in "$RUN"/worker-*.pid "$RUN/master.pid"; do
    if alive "$pid_file"; then kill "$(cat "$pid_file")" 2>/dev/null || true; fi
  done
  for pid_file in "$RUN"/*.pid; do
    while alive "$pid_file"; do
      if ((SECONDS > deadline)); then kill -9 "$(cat "$pid_file")" 2>/dev/null || true; fi
      sleep 0.2
    done
    rm -f "$pid_file"
  done
  rm -rf "$RUN"/worker-*/
}

case "${1:-}" in
  start | stop | status) "$1" ;;
  *) fail "usage: scripts/cluster.sh start|stop|status" ;;
esac
