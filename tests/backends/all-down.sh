#!/bin/bash
# Stop every backend of this lab that is up; --purge also removes the data.
. "$(dirname "$0")/lib.sh"
for script in "$REPO"/tests/backends/*-down.sh "$REPO"/tests/peer/down.sh; do
  [[ $script = */all-down.sh || ! -e $script ]] || "$script" "$@" || say "$script failed"
done
