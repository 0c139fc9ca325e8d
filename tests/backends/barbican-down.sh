#!/bin/bash
# Stop barbican; --purge also removes its data. (Keystone, which it started, is stopped by its own script.)
. "$(dirname "$0")/lib.sh"
stop "$LAB_DIR/barbican/server.pid"
[[ ${1:-} != --purge ]] || rm -rf "$LAB_DIR/barbican"
