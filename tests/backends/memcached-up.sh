#!/bin/bash
# memcached; it keeps nothing on disk.
. "$(dirname "$0")/lib.sh"
one_at_a_time memcached
need memcached
DIR=$LAB_DIR/memcached
mkdir -p "$DIR"
alive "$DIR/server.pid" || start memcached/server memcached --listen 127.0.0.1 --port "$(port memcached)" --user "$(id -un)" --memory-limit 16
wait_for memcached/server 20 listening 127.0.0.1 "$(port_of memcached)"
echo "127.0.0.1:$(port_of memcached)"
