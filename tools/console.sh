#!/bin/bash
# console.sh [--once]: builds the console's pages from drivers/ext_console/ui into the package glancecore_ext_console.
#   --once: when the sources are other ones than those it was built from; where it can't be built, says so and goes on: the API needs no pages
. "$(dirname "$0")/../tests/backends/lib.sh"
cd "$REPO/drivers/ext_console/ui"
STATIC=../src/glancecore_ext_console/static
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
