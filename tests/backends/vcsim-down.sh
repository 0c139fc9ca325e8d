#!/bin/bash
# Stop vcsim, and its datastores go; --purge also removes the build.
. "$(dirname "$0")/lib.sh"
stop "$LAB_DIR/vcsim/server.pid" 5
rm -rf "$LAB_DIR"/vcsim/datastores/govcsim-*
[[ ${1:-} != --purge ]] || rm -rf "$LAB_DIR/vcsim"
