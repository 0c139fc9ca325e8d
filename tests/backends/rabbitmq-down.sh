#!/bin/bash
# Stop RabbitMQ and its epmd; --purge also removes its data.
. "$(dirname "$0")/lib.sh"
stop "$LAB_DIR/rabbitmq/server.pid" 30
stop "$LAB_DIR/rabbitmq/epmd.pid"
[[ ${1:-} != --purge ]] || rm -rf "$LAB_DIR/rabbitmq"
