#!/bin/bash
# PostgreSQL in a folder; user and database "glance", password "glance", superuser.
# It refuses to run as root: then it runs as the user that Debian's package made, in a folder that this user can reach.
. "$(dirname "$0")/lib.sh"
one_at_a_time postgresql
need postgresql-common
if ! compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null; then need postgresql; fi
BIN=$(compgen -G '/usr/lib/postgresql/*/bin' | sort -V | tail -1)
DIR=$LAB_DIR/postgresql
mkdir -p "$DIR"
DATA=$DIR/data AS=()
if [[ $(id -u) = 0 ]]; then
  AS=(setpriv --reuid postgres --regid postgres --clear-groups)
  "${AS[@]}" test -x "$DIR" || DATA=/var/lib/postgresql/lab-$(printf '%s' "$LAB_DIR" | sha256sum | head -c 12)
fi
echo "$DATA" >"$DIR/where"
cd / # the folder we are called in may be closed to that user
if [[ ! -e $DIR/installed || ! -e $DATA/PG_VERSION ]]; then
  rm -rf "$DATA"
  mkdir -p "$DATA"
  [[ $(id -u) != 0 ]] || chown postgres:postgres "$DATA"
  password=$(mktemp)
  echo glance >"$password"
  [[ $(id -u) != 0 ]] || chown postgres:postgres "$password"
  "${AS[@]}" "$BIN/initdb" -D "$DATA" -U glance -A scram-sha-256 --pwfile="$password" -E UTF8 --locale=C.UTF-8 \
    >"$DIR/install.log" 2>&1 || { tail "$DIR/install.log" >&2; exit 1; }
  rm -f "$password"
  touch "$DIR/installed"
fi
if ! alive "$DIR/server.pid"; then
  rm -f "$DATA/postmaster.pid"
  start postgresql/server "${AS[@]}" "$BIN/postgres" -D "$DATA" -h 127.0.0.1 -p "$(port postgresql)" -k '' \
    -c fsync=off -c shared_buffers=128MB -c max_connections=300
fi
export PGPASSWORD=glance
sql() { psql -h 127.0.0.1 -p "$(port_of postgresql)" -U glance -d postgres -Atqc "$1"; }
wait_for postgresql/server 30 sql 'select 1'
[[ $(sql "select 1 from pg_database where datname = 'glance'") = 1 ]] || sql 'create database glance'
echo "POSTGRESQL_HOST=127.0.0.1"
echo "POSTGRESQL_PORT=$(port_of postgresql)"
echo "postgresql+psycopg://glance:glance@127.0.0.1:$(port_of postgresql)/glance"
