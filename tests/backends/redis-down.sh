#!/bin/bash
# Stop redis; --purge also removes its data.
. "$(dirname "$0")/lib.sh"
stop "$LAB_DIR/redis/server.pid"
[[ ${1:-} != --purge ]] || rm -rf "$LAB_DIR/redis"
