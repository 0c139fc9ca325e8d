#!/bin/bash
# Stop MariaDB; --purge also removes its data.
. "$(dirname "$0")/lib.sh"
stop "$LAB_DIR/mariadb/server.pid" 30
drop_short_dir "$LAB_DIR/mariadb"
[[ ${1:-} != --purge ]] || rm -rf "$LAB_DIR/mariadb"
