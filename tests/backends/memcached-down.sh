#!/bin/bash
# Stop memcached; --purge also removes its log.
. "$(dirname "$0")/lib.sh"
stop "$LAB_DIR/memcached/server.pid"
[[ ${1:-} != --purge ]] || rm -rf "$LAB_DIR/memcached"
