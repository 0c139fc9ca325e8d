"""A process of its own: ``writer.py URL sync`` or ``writer.py URL NUMBER`` (of images to add, in 4 threads)."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor

from glancecore_db_sql.driver import SqlDatabase
from glancecore_db_sql.options import OPTIONS

from glancecore.domain.quota import Limits
from glancecore.ports.repository import ImageAdded, ImageChanged, WithinLimits
from glancecore.testing.examples import make_image, saved
from glancecore.testing.settings import make_section

if __name__ == "__main__":
    database = SqlDatabase(make_section(OPTIONS, connection=sys.argv[1]))
    if sys.argv[2] == "sync":
        database.sync()
        database.ping()
    else:

        def add(number: int) -> None:
            image = make_image(number, tags=("a", "b"), properties={"k": "v"})
            database.images.commit(ImageAdded(image), WithinLimits("ours", Limits(images=10_000)))
            database.images.commit(ImageChanged(image, saved(image, name="x")))

        with ThreadPoolExecutor(4) as pool:
            list(pool.map(add, range(int(sys.argv[2]))))
    database.close()
