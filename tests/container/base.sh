#!/bin/bash
# base.sh: a minimal Debian with Python, of this machine's release and package sources, as a tar file; prints its path. A second run finds it made.
. "$(dirname "$0")/../backends/lib.sh"
need buildah podman runc mmdebstrap python3 python3-venv
mkdir -p "$LAB_DIR/container"
one_at_a_time container/base
base=$LAB_DIR/container/base.tar
if [[ ! -s $base ]]; then
  # shellcheck disable=SC2016 # apt fills them in
  mapfile -t sources < <(apt-get indextargets --format 'deb $(REPO_URI) $(RELEASE) $(COMPONENT)' 'Identifier: Packages' | sort -u)
  codename=$(sed -n 's/^VERSION_CODENAME=//p' /etc/os-release)
  mmdebstrap --quiet --variant=minbase --format=tar --include=ca-certificates,python3,python3-venv,tini \
    --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/locale/*' \
    "$codename" "$base.part" "${sources[@]}" >&2
  mv "$base.part" "$base"
fi
echo "$base"
