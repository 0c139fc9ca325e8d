#!/bin/bash
# RabbitMQ in a folder, with an epmd of its own: user glance, password secret.
. "$(dirname "$0")/lib.sh"
one_at_a_time rabbitmq
need rabbitmq-server
DIR=$LAB_DIR/rabbitmq
mkdir -p "$DIR"/{home,data,log}
if ! alive "$DIR/server.pid"; then
  # Erlang's nodes find each other by epmd; both, and the port between nodes, stay on loopback
  export ERL_EPMD_ADDRESS=127.0.0.1
  if alive "$DIR/epmd.pid"; then ERL_EPMD_PORT=$(port_of rabbitmq-epmd); else
    ERL_EPMD_PORT=$(port rabbitmq-epmd)
    export ERL_EPMD_PORT
    start rabbitmq/epmd epmd -address 127.0.0.1 -port "$ERL_EPMD_PORT"
    wait_for rabbitmq/epmd 20 listening 127.0.0.1 "$ERL_EPMD_PORT"
  fi
  cat >"$DIR/rabbitmq.conf" <<CONF
listeners.tcp.1 = 127.0.0.1:$(port rabbitmq)
default_user = glance
default_pass = secret
log.console = true
log.file = false
CONF
  echo '[].' >"$DIR/plugins"
  : >"$DIR/env"
  # not the packaged command: that one changes to another user, who can't write here
  start rabbitmq/server env HOME="$DIR/home" ERL_EPMD_PORT="$ERL_EPMD_PORT" RABBITMQ_NODENAME=lab@localhost \
    RABBITMQ_DIST_PORT="$(port rabbitmq-nodes)" \
    RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS='-kernel inet_dist_use_interface {127,0,0,1}' \
    RABBITMQ_CONF_ENV_FILE="$DIR/env" RABBITMQ_CONFIG_FILE="$DIR/rabbitmq.conf" RABBITMQ_ENABLED_PLUGINS_FILE="$DIR/plugins" \
    RABBITMQ_MNESIA_BASE="$DIR/data" RABBITMQ_LOG_BASE="$DIR/log" RABBITMQ_PID_FILE="$DIR/rabbitmq.pid" \
    /usr/lib/rabbitmq/bin/rabbitmq-server
fi
wait_for rabbitmq/server 90 listening 127.0.0.1 "$(port_of rabbitmq)"
echo "rabbit://glance:secret@127.0.0.1:$(port_of rabbitmq)/"
