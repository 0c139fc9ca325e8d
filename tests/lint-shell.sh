#!/bin/bash
# Checks every shell script of the repository.
. "$(dirname "$0")/backends/lib.sh"
need shellcheck
cd "$REPO"
mapfile -t scripts < <(find . \( -name .venv -o -name .lab -o -name .git -o -name node_modules \) -prune -o -type f \
  \( -name '*.sh' -o -path './.ci/*' \) -print | sort)
shellcheck -x -P tests:tests/backends:tests/peer "${scripts[@]}"
