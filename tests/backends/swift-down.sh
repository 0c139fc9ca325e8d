#!/bin/bash
# Stop swift; --purge also removes its data. (Keystone, which it started, is stopped by its own script.)
. "$(dirname "$0")/lib.sh"
for kind in proxy proxy-v3 object container account memcached; do stop "$LAB_DIR/swift/$kind.pid" 10; done
[[ ${1:-} != --purge ]] || rm -rf "$LAB_DIR/swift"
