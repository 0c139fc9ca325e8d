#!/bin/bash
# Stop ceph and its gateway; --purge also removes the data.
. "$(dirname "$0")/lib.sh"
DIR=$LAB_DIR/ceph
for file in "$DIR"/pid/{rgw,osd.*,mgr,mon}.pid; do stop "$file" 20; done
drop_short_dir "$DIR"
[[ ${1:-} != --purge ]] || rm -rf "$DIR"
