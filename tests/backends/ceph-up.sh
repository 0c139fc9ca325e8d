#!/bin/bash
# A one-node Ceph (Debian's): mon, mgr, OSDs, the pools "images" and "vms", the cephx user "glance".
# CEPH_OSDS (1), CEPH_OSD_GB (8; a sparse file), CEPH_THAWED (empty; set when its processes were stopped and go on now)
. "$(dirname "$0")/lib.sh"
one_at_a_time ceph
need ceph-mon ceph-mgr ceph-osd ceph-common python3-rbd python3-rados
DIR=$LAB_DIR/ceph OSDS=${CEPH_OSDS:-1}
export CEPH_CONF=$DIR/ceph.conf
mkdir -p "$DIR/log" "$DIR/mgr" "$DIR/pid"
if ! alive "$DIR/pid/mon.pid"; then
  # the monitor's address is part of the cluster: when its port is taken, the cluster is made anew
  OLD=$(cat "$LAB_DIR/ports/ceph" 2>/dev/null || true)
  RUN=$(short_dir "$DIR") PORT=$(port ceph)
  if [[ ! -e $DIR/made || $OLD != "$PORT" ]]; then
    rm -rf "$DIR"/{mon,osd.*,made,pools,monmap} "$DIR"/*keyring
    FSID=$(cat /proc/sys/kernel/random/uuid)
    echo "$FSID" >"$DIR/fsid"
  fi
  cat >"$DIR/ceph.conf" <<CONF
[global]
fsid = $(cat "$DIR/fsid")
mon host = v2:127.0.0.1:$PORT
ms bind msgr1 = false
public addr = 127.0.0.1
public network = 127.0.0.0/8
cluster network = 127.0.0.0/8
keyring = $DIR/\$cluster.\$name.keyring
run dir = $RUN
admin socket = $RUN/\$name.asok
pid file =
log file = $DIR/log/\$name.log
crash dir = $DIR/log
mon data = $DIR/mon
osd data = $DIR/osd.\$id
mgr data = $DIR/mgr
setuser match path =
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 8
osd pool default pgp num = 8
osd pool default pg autoscale mode = off
osd crush chooseleaf type = 0
mon allow pool size one = true
# each snapshot waits for the monitor to gather changes: a second, which is most of a test's time
paxos propose interval = 0.05
paxos min wait = 0.01
mon allow pool delete = true
mon warn on pool no redundancy = false
mon data avail warn = 2
mon data avail crit = 1
mon osd full ratio = 0.97
mon osd nearfull ratio = 0.95
mon osd backfillfull ratio = 0.96
auth allow insecure global id reclaim = false
osd objectstore = bluestore
bluestore block size = $((${CEPH_OSD_GB:-8} << 30))
bluestore block create = true
bluestore fsck quick fix on mount = false
osd memory target = 1073741824
osd class update on start = true
osd max markdown count = 1000
osd max object name len = 256
osd max object namespace len = 64
mgr initial modules =
mgr module path = /usr/share/ceph/mgr
debug ms = 0
CONF
  if [[ ! -e $DIR/made ]]; then
    KEY=(ceph-authtool "$DIR/ceph.mon.keyring")
    "${KEY[@]}" --create-keyring --gen-key -n mon. --cap mon 'allow *' >/dev/null
    ceph-authtool --create-keyring "$DIR/ceph.client.admin.keyring" --gen-key -n client.admin \
      --cap mon 'allow *' --cap osd 'allow *' --cap mds 'allow *' --cap mgr 'allow *' >/dev/null
    "${KEY[@]}" --import-keyring "$DIR/ceph.client.admin.keyring" >/dev/null
    monmaptool --create --clobber --fsid "$(cat "$DIR/fsid")" --addv a "[v2:127.0.0.1:$PORT]" "$DIR/monmap" >/dev/null
    ceph-mon --mkfs -i a --monmap "$DIR/monmap" --keyring "$DIR/ceph.mon.keyring"
    touch "$DIR/made"
  fi
  start ceph/pid/mon ceph-mon -i a -f
fi
wait_for ceph/pid/mon 60 ceph --connect-timeout 5 mon stat
[[ -s $DIR/ceph.mgr.x.keyring ]] ||
  ceph auth get-or-create mgr.x mon 'allow profile mgr' osd 'allow *' mds 'allow *' >"$DIR/ceph.mgr.x.keyring"
alive "$DIR/pid/mgr.pid" || start ceph/pid/mgr ceph-mgr -i x -f
for ((i = 0; i < OSDS; i++)); do
  if alive "$DIR/pid/osd.$i.pid"; then continue; fi
  if [[ ! -e $DIR/osd.$i/made ]]; then
    ceph osd purge "$i" --yes-i-really-mean-it >/dev/null 2>&1 || true
    rm -rf "$DIR/osd.$i"
    mkdir -p "$DIR/osd.$i"
    UUID=$(cat /proc/sys/kernel/random/uuid) SECRET=$(ceph-authtool --gen-print-key)
    echo "{\"cephx_secret\": \"$SECRET\"}" | ceph osd new "$UUID" "$i" -i - >/dev/null
    ceph-authtool --create-keyring "$DIR/ceph.osd.$i.keyring" --name "osd.$i" --add-key "$SECRET" >/dev/null
    ceph-osd -i "$i" --mkfs --osd-uuid "$UUID" >"$DIR/log/mkfs.$i.log" 2>&1 || { tail "$DIR/log/mkfs.$i.log" >&2; exit 1; }
    touch "$DIR/osd.$i/made"
  fi
  start "ceph/pid/osd.$i" ceph-osd -i "$i" -f
done
# a placement group that was frozen for longer than its read lease may wait for ever to be readable again, "laggy": it is made to peer anew
if [[ -n ${CEPH_THAWED:-} ]]; then
  for ((i = 0; i < OSDS; i++)); do ceph --connect-timeout 60 osd down "$i" >/dev/null 2>&1; done
fi
wait_for ceph/pid/osd.0 60 bash -c "ceph osd stat | grep -q '$OSDS up'"
if [[ ! -e $DIR/pools ]]; then
  for pool in images vms; do
    ceph osd pool create "$pool" 8 8 replicated >/dev/null 2>&1
    ceph osd pool application enable "$pool" rbd >/dev/null 2>&1
  done
  ceph auth get-or-create client.glance mon 'profile rbd' osd 'profile rbd pool=images, profile rbd pool=vms' \
    mgr 'profile rbd pool=images' >"$DIR/ceph.client.glance.keyring"
  touch "$DIR/pools"
fi
clean() { # every placement group of both pools
  ceph -s -f json | python3 -c 'import json, sys
pgs = json.load(sys.stdin)["pgmap"]
ready = sum(state["count"] for state in pgs["pgs_by_state"] if state["state_name"] == "active+clean")
sys.exit(not (ready == pgs["num_pgs"] >= 16))'
}
wait_for ceph/pid/osd.0 60 clean
echo "CEPH_CONF=$DIR/ceph.conf"
echo "CEPH_USER=glance"
echo "CEPH_POOL=images"
echo "rbd://$DIR/ceph.conf"
