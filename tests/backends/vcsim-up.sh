#!/bin/bash
# A vCenter simulator over TLS (govmomi's, built from Debian packages alone; see vcsim/main.go).
# Also on port 443 of a loopback address of its own, for clients that can be given no port; VCSIM_ARGS=-redirect sends
# reads there. VCSIM_ARGS=-idle=30s ends sessions.
. "$(dirname "$0")/lib.sh"
one_at_a_time vcsim
need golang-go golang-github-vmware-govmomi-dev openssl
DIR=$LAB_DIR/vcsim SOURCE=$REPO/tests/backends/vcsim
mkdir -p "$DIR/bin" "$DIR/datastores"
if [[ ! -x $DIR/bin/vcsim || $SOURCE/main.go -nt $DIR/bin/vcsim ]]; then
  GO111MODULE=off GOFLAGS='' GOPATH=/usr/share/gocode GOCACHE=$DIR/go-cache \
    go build -ldflags='-s -w' -o "$DIR/bin/vcsim" "$SOURCE/main.go"
fi
VENV=$(venv vmware oslo.vmware pyvmomi requests)
[[ -s $DIR/wsdl/vimService.wsdl ]] || "$VENV/bin/python" "$SOURCE/gen_wsdl.py" "$DIR/wsdl" >"$DIR/wsdl.log" 2>&1
if ! alive "$DIR/server.pid"; then
  PLAIN=$(port vcsim)
  HOST=127.$((PLAIN / 251 % 200 + 2)).$((PLAIN % 251)).3
  SECOND=$HOST:443
  [[ $(id -u) = 0 ]] || SECOND=$HOST:$PLAIN
  echo "$SECOND" >"$DIR/second"
  openssl req -x509 -newkey rsa:2048 -nodes -days 3650 -subj /CN=localhost \
    -addext "subjectAltName=DNS:localhost,IP:127.0.0.1,IP:$HOST" -keyout "$DIR/key.pem" -out "$DIR/cert.pem" 2>/dev/null
  read -ra more <<<"${VCSIM_ARGS:-}"
  # the simulator keeps its datastores in TMPDIR and removes them when it ends
  TMPDIR=$DIR/datastores start vcsim/server "$DIR/bin/vcsim" -l "127.0.0.1:$PLAIN" -l2 "$SECOND" \
    -cert "$DIR/cert.pem" -key "$DIR/key.pem" -wsdl "$DIR/wsdl" "${more[@]}"
fi
wait_for vcsim/server 20 listening 127.0.0.1 "$(port_of vcsim)"
echo "VCSIM_USER=administrator@vsphere.local"
echo "VCSIM_PASSWORD=vmware"
echo "VCSIM_CA=$DIR/cert.pem"
echo "VCSIM_SECOND=$(cat "$DIR/second")"
echo "VCSIM_DATASTORES=DC0:LocalDS_0, DC0:LocalDS_1, DC1:LocalDS_0, DC1:LocalDS_1"
echo "https://127.0.0.1:$(port_of vcsim)/sdk"
