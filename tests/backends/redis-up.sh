#!/bin/bash
# Redis in a folder.
. "$(dirname "$0")/lib.sh"
one_at_a_time redis
need redis-server
DIR=$LAB_DIR/redis
mkdir -p "$DIR"
alive "$DIR/server.pid" || start redis/server redis-server --bind 127.0.0.1 --port "$(port redis)" --dir "$DIR" \
  --appendonly yes --save '' --daemonize no
wait_for redis/server 20 redis-cli -p "$(port_of redis)" ping
echo "redis://127.0.0.1:$(port_of redis)"
