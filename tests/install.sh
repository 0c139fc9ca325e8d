#!/bin/bash
# install.sh: make .venv with the core, every driver and client (editable) and the test tools. A second run does nothing. The console's pages, where they can be built.
. "$(dirname "$0")/backends/lib.sh"
cd "$REPO"
mapfile -t drivers < <(find drivers clients -mindepth 2 -maxdepth 2 -name pyproject.toml -not -path '*/_*' -printf '%h\n' 2>/dev/null | sort)
# what the environment is made from; its own path counts, because editable installs name it
want=$(cat pyproject.toml setup.cfg requirements-dev.txt tests/install.sh "${drivers[@]/%//pyproject.toml}" <(pwd) </dev/null | sha256sum)
if [[ "$(cat .venv/.made-from 2>/dev/null)" = "$want" ]] && .venv/bin/python -c 'import glancecore' 2>/dev/null; then exec tools/console.sh --once; fi
exec 9>"$LAB_DIR/install.lock"
flock 9
can_venv
rm -f .venv/.made-from
if ! .venv/bin/python -m pip --version >/dev/null 2>&1 || [[ "$(cat .venv/.at 2>/dev/null)" != "$REPO" ]]; then
  rm -rf .venv # half made, moved here from elsewhere, or of an interpreter that is gone
  "$LAB_PYTHON" -m venv .venv
  echo "$REPO" >.venv/.at
fi
say "installing the core, ${#drivers[@]} drivers and clients and the test tools into .venv"
pip() { .venv/bin/pip install -q --disable-pip-version-check --no-compile "$@" >"$LAB_DIR/pip.log" 2>&1 </dev/null || {
  tail -20 "$LAB_DIR/pip.log" >&2
  exit 1
}; }
pip 'setuptools>=77' wheel
# one environment builds all of them: much faster than one made anew for each
editable=(-e '.[testing,redis,etcd,zookeeper,replicator]')
for driver in "${drivers[@]}"; do editable+=(-e "./$driver"); done
pip --no-build-isolation "${editable[@]}" -r requirements-dev.txt
echo "$want" >.venv/.made-from
exec tools/console.sh --once 9>&-
