#!/bin/bash
# Stop zookeeper; --purge also removes its data.
. "$(dirname "$0")/lib.sh"
stop "$LAB_DIR/zookeeper/server.pid"
[[ ${1:-} != --purge ]] || rm -rf "$LAB_DIR/zookeeper"
