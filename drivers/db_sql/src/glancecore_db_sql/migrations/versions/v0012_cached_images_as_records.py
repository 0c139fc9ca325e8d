"""Which nodes have which images in their caches: records from now on. What was told before is copied, until its node
tells anew."""

from __future__ import annotations

import hashlib

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"

_COLLECTION = "the service.cache_nodes"
#: Images go, and nodes of this release tell of themselves, while it runs.
_ADD = sa.text(
    "INSERT INTO records (collection, id, version, image_id, key0, data) SELECT :collection, :id, 1, images.id, :node,"
    " '[1,{}]' FROM images WHERE images.id = :image_id AND NOT EXISTS (SELECT 1 FROM records r WHERE r.collection ="
    " :collection AND r.id = :id)"
)


def upgrade() -> None:
    bind = op.get_bind()
    for image_id, node in bind.execute(sa.text("SELECT image_id, node FROM cached_images")).all():
        id_ = f"{image_id}.{hashlib.sha256(node.encode()).hexdigest()[:32]}"
        bind.execute(_ADD.bindparams(collection=_COLLECTION, id=id_, node=node, image_id=image_id))
