#!/bin/bash
# keystone-up.sh [REGION IMAGE_URL [REMOTE_IMAGE_URL]]
# Keystone (PyPI) on SQLite with fernet tokens; its users, roles and projects are in keystone_setup.py.
# A company's accounts log in by the protocol openid, to a console on $CONSOLE_PORT of 127.0.0.1 (keystone_serve.py).
# With REGION and IMAGE_URL that image service is in the catalogue too: a region for each service under test,
# so that several of them share one Keystone.
. "$(dirname "$0")/lib.sh"
HERE=$REPO/tests/backends
one_at_a_time keystone
VENV=$(venv keystone keystone==30.0.0 waitress==3.0.2)
DIR=$LAB_DIR/keystone
mkdir -p "$DIR/conf" "$DIR/fernet" "$DIR/credential"
chmod 700 "$DIR/fernet" "$DIR/credential"
if ! alive "$DIR/server.pid"; then
  ORIGIN=http://127.0.0.1:$(port keystone)
  # cheap password hashes: each user that a test makes costs several of them
  cat >"$DIR/conf/keystone.conf" <<CONF
[DEFAULT]
log_file = $DIR/keystone.log
public_endpoint = $ORIGIN
[database]
connection = sqlite:///$DIR/keystone.db
[token]
provider = fernet
expiration = 43200
[fernet_tokens]
key_repository = $DIR/fernet
[credential]
key_repository = $DIR/credential
[identity]
password_hash_rounds = 4
[cache]
# roles and projects are looked up again for each token; one process serves, so that it knows of each change
enabled = true
backend = oslo_cache.dict
[auth]
# those that are usual, and the company's
methods = external,password,token,oauth1,mapped,application_credential,ec2credential,openid
[federation]
trusted_dashboard = http://127.0.0.1:$(port console)/console/session/websso
sso_callback_template = $VENV/etc/keystone/sso_callback_template.html
[openid]
remote_id_attribute = HTTP_OIDC_ISS
[oslo_policy]
enforce_scope = true
[oslo_messaging_notifications]
driver = noop
CONF
  export OS_KEYSTONE_CONFIG_DIR=$DIR/conf PYTHONWARNINGS=ignore
  manage() { "$VENV/bin/keystone-manage" --config-file "$DIR/conf/keystone.conf" "$@" >>"$DIR/setup.log" 2>&1 || {
    tail -20 "$DIR/setup.log" >&2
    exit 1
  }; }
  if [[ "$(cat "$DIR/origin" 2>/dev/null)" != "$ORIGIN" ]]; then # the first time, or on another port
    manage db_sync
    manage fernet_setup --keystone-user "$(id -un)" --keystone-group "$(id -gn)"
    manage credential_setup --keystone-user "$(id -un)" --keystone-group "$(id -gn)"
    manage bootstrap --bootstrap-password secret --bootstrap-region-id RegionOne --bootstrap-public-url "$ORIGIN/v3" \
      --bootstrap-internal-url "$ORIGIN/v3" --bootstrap-admin-url "$ORIGIN/v3"
    echo "$ORIGIN" >"$DIR/origin"
  fi
  # one thread: two writers on SQLite end in "database is locked"
  start keystone/server "$VENV/bin/python" "$HERE/keystone_serve.py" 127.0.0.1 "$(port_of keystone)"
fi
URL=http://127.0.0.1:$(port_of keystone)/v3
wait_for keystone/server 60 listening 127.0.0.1 "$(port_of keystone)"
PEOPLE="$URL $(sha256sum <"$HERE/keystone_setup.py")"
if [[ $# -gt 0 || "$(cat "$DIR/people" 2>/dev/null)" != "$PEOPLE" ]]; then
  "$VENV/bin/python" "$HERE/keystone_setup.py" "$URL" "$@"
  echo "$PEOPLE" >"$DIR/people"
fi
echo "OS_AUTH_URL=$URL"
echo "CONSOLE_PORT=$(port_of console)" # of the console that company's accounts may log in to
echo "OS_PASSWORD=secret"
echo "$URL"
