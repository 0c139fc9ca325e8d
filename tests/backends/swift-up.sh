#!/bin/bash
# OpenStack Swift (PyPI) all in one: proxy, account, container, object; one replica. One or more disks in a folder.
# Two proxy servers before the same data: one with Swift's own login, v1 (user glance:store, key glance-key), and S3 (s3api);
# one with Keystone's, v3, which it starts. (In one pipeline, each token of the one login would also be asked of the other.)
# SWIFT_DISKS (1), SWIFT_MAX_FILE_SIZE (5368709122)
. "$(dirname "$0")/lib.sh"
one_at_a_time swift
need attr rsync liberasurecode1 memcached
DIR=$LAB_DIR/swift
mkdir -p "$DIR"/{etc,cache,disks,tmp,locks}
touch "$DIR/.xattr"
setfattr -n user.swift -v x "$DIR/.xattr" || die "the file system of $DIR has no user xattrs, which Swift needs"
VENV=$(venv swift 'swift==2.38.*' keystonemiddleware lxml)
KINDS=(object container account proxy proxy-v3)
down() {
  local kind
  for kind in "${KINDS[@]}" memcached; do alive "$DIR/$kind.pid" || return 0; done
  return 1
}
if down; then
  for kind in "${KINDS[@]}" memcached; do stop "$DIR/$kind.pid" 10; done
  AUTH_URL=$("$REPO/tests/backends/keystone-up.sh" | tail -1)
  for kind in "${KINDS[@]}" memcached; do port "swift-$kind" >/dev/null; done
  cat >"$DIR/etc/swift.conf" <<CONF
[swift-hash]
swift_hash_path_suffix = lab
swift_hash_path_prefix = lab
[storage-policy:0]
name = gold
default = yes
[swift-constraints]
max_file_size = ${SWIFT_MAX_FILE_SIZE:-5368709122}
CONF
  COMMON="swift_dir = $DIR/etc
user = $(id -un)
workers = 0
log_level = WARNING
log_to_console = true
log_facility ="
  for kind in object container account; do
    # the ring holds the port: it is made anew at every start, always with the same partitions
    rm -f "$DIR/etc/$kind.builder" "$DIR/etc/$kind.ring.gz"
    ring() { "$VENV/bin/swift-ring-builder" "$DIR/etc/$kind.builder" "$@" >/dev/null; }
    ring create 6 1 1
    for ((disk = 1; disk <= ${SWIFT_DISKS:-1}; disk++)); do
      mkdir -p "$DIR/disks/d$disk"
      ring add "r1z1-127.0.0.1:$(port_of "swift-$kind")/d$disk" 1
    done
    ring rebalance || true # 1 is a warning
    cat >"$DIR/etc/$kind-server.conf" <<CONF
[DEFAULT]
bind_ip = 127.0.0.1
bind_port = $(port_of "swift-$kind")
devices = $DIR/disks
mount_check = false
disable_fallocate = true
$COMMON
[pipeline:main]
pipeline = $kind-server
[app:$kind-server]
use = egg:swift#$kind
conn_timeout = 5
CONF
  done
  proxy_conf() { # NAME AUTH
    cat >"$DIR/etc/$1-server.conf" <<CONF
[DEFAULT]
bind_ip = 127.0.0.1
bind_port = $(port_of "swift-$1")
$COMMON
[pipeline:main]
pipeline = catch_errors gatekeeper healthcheck cache listing_formats bulk tempurl $2 copy slo dlo versioned_writes proxy-server
[app:proxy-server]
use = egg:swift#proxy
account_autocreate = true
allow_account_management = true
[filter:tempauth]
use = egg:swift#tempauth
user_glance_store = glance-key .admin
user_other_store = other-key .admin
user_admin_admin = admin .admin .reseller_admin
allow_overrides = true
[filter:authtoken]
paste.filter_factory = keystonemiddleware.auth_token:filter_factory
www_authenticate_uri = $AUTH_URL
auth_url = $AUTH_URL
auth_type = password
project_domain_id = default
user_domain_id = default
project_name = service
username = swift
password = secret
delay_auth_decision = True
service_token_roles_required = True
cache = swift.cache
include_service_catalog = False
[filter:keystoneauth]
use = egg:swift#keystoneauth
operator_roles = admin, member
reseller_prefix = KEY
reseller_admin_role = admin
[filter:s3api]
use = egg:swift#s3api
s3_acl = false
check_bucket_owner = false
location = us-east-1
min_segment_size = 5242880
[filter:catch_errors]
use = egg:swift#catch_errors
[filter:gatekeeper]
use = egg:swift#gatekeeper
[filter:healthcheck]
use = egg:swift#healthcheck
[filter:cache]
use = egg:swift#memcache
memcache_servers = 127.0.0.1:$(port_of swift-memcached)
[filter:listing_formats]
use = egg:swift#listing_formats
[filter:bulk]
use = egg:swift#bulk
[filter:tempurl]
use = egg:swift#tempurl
[filter:copy]
use = egg:swift#copy
[filter:slo]
use = egg:swift#slo
[filter:dlo]
use = egg:swift#dlo
[filter:versioned_writes]
use = egg:swift#versioned_writes
allow_versioned_writes = true
CONF
  }
  proxy_conf proxy "s3api tempauth"
  proxy_conf proxy-v3 "authtoken keystoneauth"
  # v1 tokens are kept in memcached
  start swift/memcached memcached -l 127.0.0.1 -p "$(port_of swift-memcached)" -m 16 -u "$(id -un)"
  export EVENTLET_NO_GREENDNS=yes TMPDIR=$DIR/tmp PYTHONWARNINGS=ignore
  for kind in "${KINDS[@]}"; do
    start "swift/$kind" "$VENV/bin/swift-${kind%-v3}-server" "$DIR/etc/$kind-server.conf"
  done
  for kind in "${KINDS[@]}"; do wait_for "swift/$kind" 60 listening 127.0.0.1 "$(port_of "swift-$kind")"; done
fi
ORIGIN=http://127.0.0.1:$(port_of swift-proxy)
# the object store in Keystone's catalogue, for clients that log in with v3
"$LAB_DIR/venvs/keystone/bin/python" "$REPO/tests/backends/keystone_setup.py" "http://127.0.0.1:$(port_of keystone)/v3" \
  --object-store "http://127.0.0.1:$(port_of swift-proxy-v3)/v1/KEY_\$(project_id)s"
echo "SWIFT_USER=glance:store"
echo "SWIFT_KEY=glance-key"
# one that may use all accounts, and one of another account
echo "SWIFT_RESELLER_USER=admin:admin"
echo "SWIFT_RESELLER_KEY=admin"
echo "SWIFT_OTHER_USER=other:store"
echo "SWIFT_OTHER_KEY=other-key"
echo "SWIFT_V3_AUTH_URL=http://127.0.0.1:$(port_of keystone)/v3"
echo "SWIFT_V3_USER=service:glance"
echo "SWIFT_V3_KEY=secret"
echo "S3_ENDPOINT=$ORIGIN"
# for tests that need a proxy server of their own, to stop it
echo "SWIFT_PROXY=$VENV/bin/swift-proxy-server"
echo "SWIFT_PROXY_CONF=$DIR/etc/proxy-server.conf"
echo "SWIFT_V3_PROXY_CONF=$DIR/etc/proxy-v3-server.conf"
echo "$ORIGIN/auth/v1.0"
