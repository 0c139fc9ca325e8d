"""The cluster as its administrator sees it, without the driver."""

import contextlib
import functools
import json
import os
import subprocess
from pathlib import Path
from uuid import uuid4

import lab

CONF = lab.backend("ceph").settings["CEPH_CONF"]
POOL = lab.backend("ceph").settings["CEPH_POOL"]


def ceph(*command, data=None):
    return subprocess.run(
        command, env={**os.environ, "CEPH_CONF": CONF}, check=True, capture_output=True, input=data
    ).stdout


def rbd(*words, pool=POOL, data=None):
    return ceph("rbd", "--pool", pool, *words, data=data)


#: RBD's own books.
BOOKS = {"rbd_directory", "rbd_info", "rbd_children", "rbd_trash", "rbd_trash_purge_schedule"}


@functools.cache
def administrator():
    import rados

    handle = rados.Rados(conffile=CONF, rados_id="admin")
    for option in (
        "rados_osd_op_timeout",
        "rados_mon_op_timeout",
    ):  # a cluster that is dead ends a test instead of stopping it
        handle.conf_set(option, "60")
    handle.connect()
    return handle


def objects(pool):
    """Everything in the pool, images or what is left of them."""
    with administrator().open_ioctx(pool) as context:
        return {x.key for x in context.list_objects()} - BOOKS


def remove(pool, name):
    """One object, which need not be there."""
    import rados

    with administrator().open_ioctx(pool) as context, contextlib.suppress(rados.ObjectNotFound):
        context.remove_object(name)


def pids(only=""):
    folder = Path(CONF).parent / "pid"
    return [
        int(file.read_text().split()[0])
        for file in sorted(folder.glob(f"{only}*.pid"))
        if not file.name.startswith("mgr")
    ]


def freeze(only=""):
    """The cluster stops answering; ``only``: of some daemons (``osd``)."""
    lab.freeze(*pids(only))


def thaw():
    lab.thaw(*pids())
    lab.up("ceph", CEPH_THAWED="1")  # waits until all of it answers again


def info(name, *, pool=POOL):
    return json.loads(rbd("info", name, "--format", "json", pool=pool))


def user(folder, *caps):
    """A new Ceph user with these caps: the configuration that names its keyring, and its name."""
    name = f"poor{uuid4().hex[:6]}"
    keyring, conf = folder / "keyring", folder / "ceph.conf"
    keyring.write_bytes(ceph("ceph", "auth", "get-or-create", f"client.{name}", *caps))
    conf.write_text(Path(CONF).read_text() + f"\n[client.{name}]\nkeyring = {keyring}\n")
    return str(conf), name
