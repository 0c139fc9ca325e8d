#!/bin/bash
# Stop PostgreSQL; --purge also removes its data.
. "$(dirname "$0")/lib.sh"
DIR=$LAB_DIR/postgresql
DATA=$(cat "$DIR/where" 2>/dev/null || true)
stop "$DIR/server.pid" 20 INT # a fast shutdown: it does not wait for its clients
if [[ ${1:-} = --purge ]]; then
  [[ $DATA != /var/lib/postgresql/lab-* ]] || rm -rf "$DATA"
  rm -rf "$DIR"
fi
