#!/bin/bash
# Ceph's object gateway (S3 v4 and Swift v1) on the cluster of ceph-up.sh.
. "$(dirname "$0")/lib.sh"
one_at_a_time rgw
need radosgw
"$REPO/tests/backends/ceph-up.sh" >/dev/null
DIR=$LAB_DIR/ceph
export CEPH_CONF=$DIR/ceph.conf
if ! alive "$DIR/pid/rgw.pid"; then
  ceph auth get-or-create client.rgw.a mon 'allow rw' osd 'allow rwx' >"$DIR/ceph.client.rgw.a.keyring"
  start ceph/pid/rgw radosgw -n client.rgw.a -f --rgw-frontends "beast endpoint=127.0.0.1:$(port rgw)" \
    --rgw-data "$(short_dir "$DIR")" --rgw-swift-account-in-url true --rgw-thread-pool-size 32 \
    --rgw-gc-obj-min-wait 10 --rgw-gc-processor-period 10 --rgw-gc-processor-max-time 10
fi
wait_for ceph/pid/rgw 90 listening 127.0.0.1 "$(port_of rgw)"
admin() { radosgw-admin -n client.admin "$@" >/dev/null 2>&1; }
if ! admin user info --uid glance; then
  admin user create --uid glance --display-name Glance --access-key GLANCEACCESSKEY --secret-key glance-secret-key
  admin subuser create --uid glance --subuser glance:swift --access full
  admin key create --subuser glance:swift --key-type swift --secret-key glance-swift-key
fi
echo "S3_ACCESS_KEY=GLANCEACCESSKEY"
echo "S3_SECRET_KEY=glance-secret-key"
echo "RGW_SWIFT_USER=glance:swift"
echo "RGW_SWIFT_KEY=glance-swift-key"
echo "RGW_SWIFT_AUTH_URL=http://127.0.0.1:$(port_of rgw)/auth/v1.0"
# for tests that need a gateway of their own, to stop it
echo "RGW_CONF=$CEPH_CONF"
echo "RGW_NAME=client.rgw.a"
echo "http://127.0.0.1:$(port_of rgw)"
