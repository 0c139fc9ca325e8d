#!/bin/bash
# Stop nginx; --purge also removes its data.
. "$(dirname "$0")/lib.sh"
stop "$LAB_DIR/nginx/server.pid"
[[ ${1:-} != --purge ]] || rm -rf "$LAB_DIR/nginx"
