#!/bin/bash
# MariaDB in a folder; user and database "glance", password "glance", and the right to make databases.
. "$(dirname "$0")/lib.sh"
one_at_a_time mariadb
need mariadb-server-core mariadb-client-core
DIR=$LAB_DIR/mariadb
mkdir -p "$DIR"
if [[ ! -d $DIR/data/mysql || ! -e $DIR/installed ]]; then
  rm -rf "$DIR/data"
  mariadb-install-db --no-defaults --datadir="$DIR/data" --auth-root-authentication-method=normal --skip-test-db \
    --user="$(id -un)" >"$DIR/install.log" 2>&1
  touch "$DIR/installed"
fi
if ! alive "$DIR/server.pid"; then
  drop_short_dir "$DIR"
  start mariadb/server mariadbd --no-defaults --datadir="$DIR/data" --user="$(id -un)" --bind-address=127.0.0.1 \
    --port="$(port mariadb)" --socket="$(short_dir "$DIR")/sock" --skip-log-bin --skip-name-resolve \
    --innodb-buffer-pool-size="${MARIADB_BUFFER:-256M}" --innodb-flush-log-at-trx-commit=2 --max-connections=500 \
    --max-allowed-packet=64M --character-set-server=utf8mb4 --lc-messages-dir=/usr/share/mysql
fi
sql() { mariadb --no-defaults --socket="$(short_dir "$DIR")/sock" -u root -e "$1"; }
wait_for mariadb/server 30 sql 'select 1'
sql "create database if not exists glance character set utf8mb4;
  create user if not exists 'glance'@'%' identified by 'glance'; grant all on *.* to 'glance'@'%';"
echo "MARIADB_HOST=127.0.0.1"
echo "MARIADB_PORT=$(port_of mariadb)"
echo "mysql+pymysql://glance:glance@127.0.0.1:$(port_of mariadb)/glance?charset=utf8mb4"
