#!/bin/bash
# Stop the gateway; the cluster and the data stay (ceph-down.sh).
. "$(dirname "$0")/lib.sh"
stop "$LAB_DIR/ceph/pid/rgw.pid"
