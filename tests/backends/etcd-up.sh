#!/bin/bash
# etcd in a folder.
. "$(dirname "$0")/lib.sh"
one_at_a_time etcd
need etcd-server curl
DIR=$LAB_DIR/etcd
mkdir -p "$DIR"
if ! alive "$DIR/server.pid"; then
  CLIENT=http://127.0.0.1:$(port etcd) PEER=http://127.0.0.1:$(port etcd-peer)
  # the peer address is part of the data: with another port it is a new cluster
  [[ "$(cat "$DIR/peer" 2>/dev/null)" = "$PEER" ]] || rm -rf "$DIR/data"
  echo "$PEER" >"$DIR/peer"
  start etcd/server etcd --name lab --data-dir "$DIR/data" --listen-client-urls "$CLIENT" --advertise-client-urls "$CLIENT" \
    --listen-peer-urls "$PEER" --initial-advertise-peer-urls "$PEER" --initial-cluster "lab=$PEER"
fi
wait_for etcd/server 20 curl -fsS "http://127.0.0.1:$(port_of etcd)/health"
echo "etcd://127.0.0.1:$(port_of etcd)"
