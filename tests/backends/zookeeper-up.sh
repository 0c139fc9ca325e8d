#!/bin/bash
# ZooKeeper, one server, in a folder. ZOOKEEPER_HEAP (128m)
. "$(dirname "$0")/lib.sh"
one_at_a_time zookeeper
need zookeeper default-jre-headless
DIR=$LAB_DIR/zookeeper
mkdir -p "$DIR/data"
if ! alive "$DIR/server.pid"; then
  # kazoo and TaskFlow ask with the "envi" command, which is off unless allowed
  cat >"$DIR/zoo.cfg" <<CONF
tickTime=1000
dataDir=$DIR/data
clientPort=$(port zookeeper)
clientPortAddress=127.0.0.1
admin.enableServer=false
maxClientCnxns=0
4lw.commands.whitelist=*
CONF
  start zookeeper/server java -Xmx"${ZOOKEEPER_HEAP:-128m}" -XX:+UseSerialGC -Dzookeeper.log.dir="$DIR" \
    -cp '/usr/share/java/zookeeper.jar:/usr/share/java/*' org.apache.zookeeper.server.quorum.QuorumPeerMain "$DIR/zoo.cfg"
fi
answers() { exec 3<>"/dev/tcp/127.0.0.1/$(port_of zookeeper)" && printf ruok >&3 && [[ "$(head -c 4 <&3)" = imok ]]; }
wait_for zookeeper/server 30 answers
echo "zookeeper://127.0.0.1:$(port_of zookeeper)"
