#!/bin/bash
# glance-api on 127.0.0.1:9292 (GLANCE_PORT: on another port, this time) with SQLite and the file store, all in $LAB_DIR/run. No login: everybody is admin.
. "$(dirname "$0")/backends/lib.sh"
cd "$REPO"
DIR=$LAB_DIR/run
mkdir -p "$DIR/images"
[[ -e $DIR/glance-api.conf ]] || cat >"$DIR/glance-api.conf" <<CONF
[DEFAULT]
bind_host = 127.0.0.1
bind_port = 9292
auth_strategy = none
enabled_extensions = console, tus
enabled_backends = file:file

[glance_store]
default_backend = file

[database]
connection = sqlite:///$DIR/glance.sqlite

[file]
filesystem_store_datadir = $DIR/images
CONF
# the file stays as it is, whatever the port of this run
if [[ -n ${GLANCE_PORT:-} ]]; then export OS_DEFAULT__BIND_PORT=$GLANCE_PORT; fi
.venv/bin/glance-manage --config-file "$DIR/glance-api.conf" db sync
.venv/bin/glance-manage --config-file "$DIR/glance-api.conf" metadefs load >"$DIR/metadefs.log"
say "configuration: $DIR/glance-api.conf"
if grep -q '^enabled_extensions = .*console' "$DIR/glance-api.conf"; then
  PORT=${GLANCE_PORT:-$(sed -n 's/^bind_port = //p' "$DIR/glance-api.conf")}
  say "console: http://127.0.0.1:$PORT/console/"
fi
exec .venv/bin/glance-api --config-file "$DIR/glance-api.conf"
