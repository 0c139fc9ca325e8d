#!/bin/bash
# Stop keystone; --purge also removes its data.
. "$(dirname "$0")/lib.sh"
stop "$LAB_DIR/keystone/server.pid"
[[ ${1:-} != --purge ]] || rm -rf "$LAB_DIR/keystone"
