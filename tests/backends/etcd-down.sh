#!/bin/bash
# Stop etcd; --purge also removes its data.
. "$(dirname "$0")/lib.sh"
stop "$LAB_DIR/etcd/server.pid"
[[ ${1:-} != --purge ]] || rm -rf "$LAB_DIR/etcd"
