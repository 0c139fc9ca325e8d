#!/bin/bash
# Stop the real Glance; --purge also removes its data.
. "$(dirname "$0")/../backends/lib.sh"
stop "$LAB_DIR/peer/server.pid" 20
[[ ${1:-} != --purge ]] || rm -rf "$LAB_DIR/peer"
