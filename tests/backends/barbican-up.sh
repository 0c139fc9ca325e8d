#!/bin/bash
# Barbican (PyPI), the key manager, on SQLite with secrets encrypted by simple_crypto. It takes tokens of the lab's Keystone,
# which it starts, and is in its catalogue as key-manager.
. "$(dirname "$0")/lib.sh"
HERE=$REPO/tests/backends
one_at_a_time barbican
VENV=$(venv barbican barbican==23.0.0 waitress==3.0.2)
DIR=$LAB_DIR/barbican
# Barbican reads its configuration while it is imported, from the home folder first
mkdir -p "$DIR/.barbican"
AUTH_URL=$("$HERE/keystone-up.sh" | tail -1)
if ! alive "$DIR/server.pid"; then
  ORIGIN=http://127.0.0.1:$(port barbican)
  [[ -s $DIR/kek ]] || "$VENV/bin/python" -c 'from cryptography.fernet import Fernet; print(Fernet.generate_key().decode())' >"$DIR/kek"
  chmod 600 "$DIR/kek"
  cat >"$DIR/.barbican/barbican.conf" <<CONF
[DEFAULT]
host_href = $ORIGIN
[database]
connection = sqlite:///$DIR/barbican.db
[keystone_authtoken]
www_authenticate_uri = $AUTH_URL
auth_url = $AUTH_URL
auth_type = password
username = barbican
password = secret
project_name = service
user_domain_id = default
project_domain_id = default
service_token_roles = service
service_token_roles_required = True
[secretstore]
enabled_secretstore_plugins = store_crypto
[crypto]
enabled_crypto_plugins = simple_crypto
[simple_crypto_plugin]
kek = $(cat "$DIR/kek")
CONF
  cat >"$DIR/paste.ini" <<'CONF'
[composite:main]
use = egg:Paste#urlmap
/ = versions
/v1 = v1
[pipeline:versions]
pipeline = request_id microversion versionapp
[pipeline:v1]
pipeline = request_id authtoken context microversion apiapp
[app:apiapp]
paste.app_factory = barbican.api.app:create_main_app
[app:versionapp]
paste.app_factory = barbican.api.app:create_version_app
[filter:authtoken]
paste.filter_factory = keystonemiddleware.auth_token:filter_factory
[filter:context]
paste.filter_factory = barbican.api.middleware.context:ContextMiddleware.factory
[filter:microversion]
paste.filter_factory = barbican.api.middleware.microversion:MicroversionMiddleware.factory
[filter:request_id]
paste.filter_factory = oslo_middleware.request_id:RequestId.factory
CONF
  export HOME=$DIR PYTHONWARNINGS=ignore
  cd "$DIR"
  "$VENV/bin/barbican-manage" db upgrade >"$DIR/setup.log" 2>&1 || { tail -20 "$DIR/setup.log" >&2; die "barbican's database can't be made"; }
  start barbican/server "$VENV/bin/python" "$HERE/barbican_serve.py" "$DIR/paste.ini" 127.0.0.1 "$(port_of barbican)"
fi
wait_for barbican/server 60 listening 127.0.0.1 "$(port_of barbican)"
URL=http://127.0.0.1:$(port_of barbican)
if [[ "$(cat "$LAB_DIR/keystone/key-manager" 2>/dev/null)" != "$URL" ]]; then
  "$LAB_DIR/venvs/keystone/bin/python" "$HERE/keystone_setup.py" "$AUTH_URL" --key-manager "$URL"
  echo "$URL" >"$LAB_DIR/keystone/key-manager"
fi
echo "BARBICAN_AUTH_URL=$AUTH_URL"
# for tests that need a server of their own before the same secrets, to stop it
echo "BARBICAN_PYTHON=$VENV/bin/python"
echo "BARBICAN_HOME=$DIR"
echo "$URL"
