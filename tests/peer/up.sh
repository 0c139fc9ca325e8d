#!/bin/bash
# The real Glance (PyPI), to ask how it behaves and to measure against.
#   up.sh [headers|keystone] [sqlite|mariadb|postgresql]     default: headers mariadb
# headers: it believes X-Identity-Status: Confirmed, X-User-Id, X-Project-Id, X-Roles. keystone: see keystone-up.sh; region "peer".
# WORKERS (2), THREADS (8); FRESH=1 forgets all images; LEGACY=1 shows locations and checks no formats; DELAYED=1: delayed_delete.
. "$(dirname "$0")/../backends/lib.sh"
AUTH=${1:-headers} DATABASE=${2:-mariadb}
one_at_a_time peer
VENV=${PEER_VENV:-$(venv peer glance==33.0.0 gunicorn==27.0.1 PyMySQL==1.2.4 'psycopg[binary]==3.3.9')}
DIR=$LAB_DIR/peer
WANTED="$AUTH $DATABASE ${WORKERS:-2} ${THREADS:-8} ${LEGACY:-0} ${DELAYED:-0}"
if [[ "$(cat "$DIR/wanted" 2>/dev/null)" != "$WANTED" || ${FRESH:-0} = 1 ]]; then
  stop "$DIR/server.pid" 20
  rm -rf "$DIR"
fi
mkdir -p "$DIR"/{etc,fast,slow,staging,tasks,cache,lock}
if ! alive "$DIR/server.pid"; then
  PORT=$(port peer) URL=http://127.0.0.1:$(port_of peer)
  AUTH_FILTER='' AUTH_SECTION='' SQL=sqlite:///$DIR/glance.sqlite
  if [[ $DATABASE = mariadb ]]; then
    SQL=$("$REPO/tests/backends/mariadb-up.sh" | tail -1)
    SQL=${SQL/\/glance\?/\/peer?}
    SERVER=(mariadb --no-defaults -h 127.0.0.1 -P "$(port_of mariadb)" -u glance -pglance -e)
    [[ -e $DIR/wanted ]] || "${SERVER[@]}" 'drop database if exists peer'
    "${SERVER[@]}" 'create database if not exists peer character set utf8mb4'
  elif [[ $DATABASE = postgresql ]]; then
    SQL=$("$REPO/tests/backends/postgresql-up.sh" | tail -1)
    SQL=${SQL%/glance}/peer
    SERVER=(env PGPASSWORD=glance psql -h 127.0.0.1 -p "$(port_of postgresql)" -U glance -d postgres -Atqc)
    [[ -e $DIR/wanted ]] || "${SERVER[@]}" 'drop database if exists peer'
    [[ $("${SERVER[@]}" "select 1 from pg_database where datname = 'peer'") = 1 ]] || "${SERVER[@]}" 'create database peer'
  fi
  if [[ $AUTH = keystone ]]; then
    AUTH_URL=$("$REPO/tests/backends/keystone-up.sh" peer "$URL" | tail -1)
    AUTH_FILTER=authtoken
    AUTH_SECTION="[keystone_authtoken]
auth_type = password
auth_url = $AUTH_URL
www_authenticate_uri = $AUTH_URL
username = glance
password = secret
project_name = service
user_domain_id = default
project_domain_id = default
service_token_roles = service
service_token_roles_required = true
memcached_servers ="
  fi
  cat >"$DIR/etc/glance-api-paste.ini" <<CONF
[composite:glance-api-peer]
paste.composite_factory = glance.api:root_app_factory
/: api
[composite:api]
paste.composite_factory = glance.api:pipeline_factory
peer = cors http_proxy_to_wsgi versionnegotiation osprofiler $AUTH_FILTER context rootapp
[composite:rootapp]
paste.composite_factory = glance.api:root_app_factory
/: apiversions
/v2: apiv2app
[app:apiversions]
paste.app_factory = glance.api.versions:create_resource
[app:apiv2app]
paste.app_factory = glance.api.v2.router:API.factory
[filter:cors]
use = egg:oslo.middleware#cors
oslo_config_project = glance
oslo_config_program = glance-api
[filter:http_proxy_to_wsgi]
use = egg:oslo.middleware#http_proxy_to_wsgi
[filter:versionnegotiation]
paste.filter_factory = glance.api.middleware.version_negotiation:VersionNegotiationFilter.factory
[filter:osprofiler]
paste.filter_factory = osprofiler.web:WsgiMiddleware.factory
[filter:authtoken]
paste.filter_factory = keystonemiddleware.auth_token:filter_factory
delay_auth_decision = true
[filter:context]
paste.filter_factory = glance.api.middleware.context:ContextMiddleware.factory
CONF
  cat >"$DIR/etc/glance-api.conf" <<CONF
[DEFAULT]
enabled_backends = fast:file, slow:file
enabled_import_methods = [glance-direct,web-download,copy-image]
image_cache_dir = $DIR/cache
lock_path = $DIR/lock
transport_url = fake:/
log_file = $DIR/glance-api.log
node_staging_uri = file://$DIR/staging
worker_self_reference_url = $URL
delayed_delete = $([[ ${DELAYED:-0} = 1 ]] && echo true || echo false)
show_multiple_locations = $([[ ${LEGACY:-0} = 1 ]] && echo true || echo false)
[image_format]
require_image_format_match = $([[ ${LEGACY:-0} = 1 ]] && echo false || echo true)
[import_filtering_opts]
allowed_ports = []
allowed_hosts = [127.0.0.1]
[oslo_concurrency]
lock_path = $DIR/lock
[database]
connection = $SQL
[glance_store]
default_backend = fast
[fast]
filesystem_store_datadir = $DIR/fast
weight = 200
[slow]
filesystem_store_datadir = $DIR/slow
weight = 100
[os_glance_staging_store]
filesystem_store_datadir = $DIR/staging
[os_glance_tasks_store]
filesystem_store_datadir = $DIR/tasks
[paste_deploy]
flavor = peer
config_file = $DIR/etc/glance-api-paste.ini
[oslo_messaging_notifications]
driver = noop
$AUTH_SECTION
CONF
  export OS_GLANCE_CONFIG_DIR=$DIR/etc
  "$VENV/bin/glance-manage" --config-file "$DIR/etc/glance-api.conf" db_sync >"$DIR/setup.log" 2>&1 ||
    { tail -20 "$DIR/setup.log" >&2; exit 1; }
  echo "$WANTED" >"$DIR/wanted"
  start peer/server "$VENV/bin/gunicorn" -w "${WORKERS:-2}" -k gthread --threads "${THREADS:-8}" -b "127.0.0.1:$PORT" \
    --timeout 600 --chdir "$DIR" glance.wsgi.api:application
fi
answers() { exec 3<>"/dev/tcp/127.0.0.1/$(port_of peer)" && printf 'GET / HTTP/1.0\r\n\r\n' >&3 && [[ -n "$(head -c 4 <&3)" ]]; }
wait_for peer/server 90 answers
echo "PEER_PID=$(cut -d' ' -f1 "$DIR/server.pid")"
echo "PEER_REGION=peer"
echo "PEER_DATABASE=$(sed -n 's/^connection = //p' "$DIR/etc/glance-api.conf")"
echo "http://127.0.0.1:$(port_of peer)"
