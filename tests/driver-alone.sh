#!/bin/bash
# driver-alone.sh NAME: build wheels of the core and of that one driver, install only these, run the driver's tests.
. "$(dirname "$0")/backends/lib.sh"
NAME=${1:?which driver, such as store_file}
cd "$REPO"
[[ -e drivers/$NAME/pyproject.toml ]] || die "there is no drivers/$NAME/pyproject.toml"
WORK=$LAB_DIR/driver-$NAME
rm -rf "$WORK"
mkdir -p "$WORK/wheels"
can_venv
"$LAB_PYTHON" -m venv "$WORK/venv"
pip() { "$WORK/venv/bin/pip" -q --disable-pip-version-check "$@" </dev/null; }
# from copies: a build leaves folders behind, and what git ignores is no part of a wheel
# other drivers of this project that the extra "test" names: the registry's kit runs over a real database
mapfile -t others < <(sed -n 's/^test = \[\(.*\)\]$/\1/p' "drivers/$NAME/pyproject.toml" | grep -o '"glancecore-[a-z-]*"' | tr -d '"' | sed 's/^glancecore-//; s/-/_/g')
for part in . "drivers/$NAME" "${others[@]/#/drivers/}"; do
  mkdir -p "$WORK/src/$part"
  tar -C "$part" --exclude=./.venv --exclude=./.lab --exclude=./.git --exclude=./drivers --exclude=node_modules --exclude=build --exclude='*.egg-info' \
    --exclude=__pycache__ -cf - . | tar -C "$WORK/src/$part" -xf -
  pip wheel --no-deps -w "$WORK/wheels" "$WORK/src/$part"
done
# beside the kit, the driver's own extra "test", when it has one
pip install "$WORK"/wheels/glancecore-*.whl pytest pytest-timeout hypothesis
wheel=$(find "$WORK/wheels" -name "glancecore_$NAME-*.whl")
pip install --find-links "$WORK/wheels" "${wheel}[test]"
# outside of the repository, so that the installed wheels are tested and not the source
cp -r "drivers/$NAME/tests" "$WORK/tests"
cd "$WORK"
PYTHONPATH=$REPO/tests exec "$WORK/venv/bin/python" -m pytest -q -c "$REPO/pyproject.toml" --rootdir "$WORK" --timeout=300 tests
