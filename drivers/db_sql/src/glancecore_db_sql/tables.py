"""The schema that this code expects. The migrations make it; a test compares the two.

``images`` holds each image whole. The other tables of images are slim copies to find them by, kept by every commit.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    PrimaryKeyConstraint,
    SmallInteger,
    String,
    Table,
    Text,
)
from sqlalchemy.dialects.mysql import LONGTEXT
from sqlalchemy.dialects.postgresql import VARCHAR

from glancecore.ports.record_repository import MOST_KEYS
from glancecore_db_sql.rows import COVERED

METADATA = MetaData()


def text(length: int) -> String:
    """Compared by code points everywhere: PostgreSQL is told here, MySQL by the table's collation."""
    return String(length).with_variant(VARCHAR(length, collation="C"), "postgresql")


DOCUMENT = Text().with_variant(LONGTEXT(), "mysql", "mariadb")


def image_id() -> Column[str]:
    return Column("image_id", text(36), ForeignKey("images.id", ondelete="CASCADE"), nullable=False)


images = Table(
    "images",
    METADATA,
    Column("id", text(36), primary_key=True),
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Column("name", text(255)),
    Column("owner", text(255)),
    Column("status", text(32), nullable=False),
    Column("visibility", text(16), nullable=False),
    Column("protected", SmallInteger, nullable=False),
    Column("hidden", SmallInteger, nullable=False),
    Column("container_format", text(64)),
    Column("disk_format", text(64)),
    Column("min_ram", BigInteger, nullable=False),
    Column("min_disk", BigInteger, nullable=False),
    Column("size", BigInteger),
    Column("virtual_size", BigInteger),
    Column("checksum", text(64)),
    Column("hash_algo", text(64)),
    Column("hash_value", text(255)),
    Column("version", BigInteger, nullable=False),
    Column("attempt", BigInteger, nullable=False),
    Column("fault", DOCUMENT),
    # What an import keeps with its image: see rows.import_state.
    Column("import_state", DOCUMENT),
    Column("tags", DOCUMENT, nullable=False),
    Column("properties", DOCUMENT, nullable=False),
    Column("locations", DOCUMENT, nullable=False),
    # Made of status and hidden: see rows.shelf.
    Column("shelf", SmallInteger, nullable=False),
    # Each slice of a list (query.py) is a range of one of these, in order. created_at is behind name and updated_at as
    # the API appends it to a sort; visibility is there to be read from the index.
    Index("images_owner_created", "owner", "shelf", "created_at", "id", *COVERED),
    Index("images_owner_name", "owner", "shelf", "name", "created_at", "id", "visibility"),
    Index("images_owner_updated", "owner", "shelf", "updated_at", "created_at", "id", "visibility"),
    Index("images_visibility_created", "visibility", "shelf", "created_at", "id", *COVERED[1:]),
    Index("images_visibility_name", "visibility", "shelf", "name", "created_at", "id"),
    Index("images_visibility_updated", "visibility", "shelf", "updated_at", "created_at", "id"),
    Index("images_status", "status", "created_at", "id"),
)

image_facets = Table(
    "image_facets",
    METADATA,
    image_id(),
    # Digest of a tag, a property with its value, or a hash: see rows.facets.
    Column("facet", text(32), nullable=False),
    Column("owner", text(255)),
    Column("visibility", text(16), nullable=False),
    Column("shelf", SmallInteger, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    PrimaryKeyConstraint("image_id", "facet"),
    Index("image_facets_owner", "facet", "owner", "shelf", "created_at", "image_id", "visibility"),
    Index("image_facets_visibility", "facet", "visibility", "shelf", "created_at", "image_id"),
)

image_locations = Table(
    "image_locations",
    METADATA,
    # Digest of the URL: which images have this location?
    Column("url", text(32), nullable=False),
    image_id(),
    Column("store", text(255), nullable=False),
    PrimaryKeyConstraint("url", "image_id", "store"),
    Index("image_locations_image", "image_id"),
    # Which stores, and which images of one?
    Index("image_locations_store", "store", "image_id"),
)

store_places = Table(
    "store_places",
    METADATA,
    Column("store", text(255), primary_key=True),
    Column("document", DOCUMENT, nullable=False),
)

image_members = Table(
    "image_members",
    METADATA,
    image_id(),
    Column("member", text(255), nullable=False),
    Column("status", text(16), nullable=False),
    Column("image_created_at", BigInteger, nullable=False),
    # In which lists of the member the image is: see rows.shared_shelf.
    Column("image_shelf", SmallInteger, nullable=False, server_default="2"),
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    PrimaryKeyConstraint("image_id", "member"),
    Index("image_members_member", "member", "status", "image_shelf", "image_created_at", "image_id"),
)

leases = Table(
    "leases",
    METADATA,
    # No foreign key: an operation may outlive its image for a moment.
    Column("image_id", text(36), primary_key=True),
    Column("token", text(64), nullable=False),
    Column("holder", text(255), nullable=False),
    Column("operation", text(32), nullable=False),
    Column("stable", text(32), nullable=False),
    Column("project", text(255), nullable=False),
    Column("blobs", DOCUMENT, nullable=False),
    Column("reserved", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Index("leases_expires", "expires_at"),
    Index("leases_holder", "holder"),
    Index("leases_project", "project"),
)

tasks = Table(
    "tasks",
    METADATA,
    Column("id", text(36), primary_key=True),
    Column("type", text(32), nullable=False),
    Column("status", text(32), nullable=False),
    Column("owner", text(255)),
    # No foreign key: a task can be read after its image is gone.
    Column("image_id", text(36)),
    Column("user_id", text(255)),
    Column("request_id", text(255)),
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger),
    # Set when it keeps data for another attempt.
    Column("kept_until", BigInteger),
    Column("version", BigInteger, nullable=False),
    Column("document", DOCUMENT, nullable=False),
    Index("tasks_kept", "kept_until"),
    Index("tasks_image", "image_id", "created_at"),
    Index("tasks_created", "created_at", "id"),
    Index("tasks_expires", "expires_at"),
    Index("tasks_status", "status", "created_at"),
)

outbox = Table(
    "outbox",
    METADATA,
    # Counted up by the database: the order of the commits of one image. SQLite counts in columns of this very type
    # only.
    Column("position", BigInteger().with_variant(Integer(), "sqlite"), primary_key=True, autoincrement=True),
    Column("id", text(36), nullable=False),
    Column("destination", text(128), nullable=False),
    Column("subject", text(255), nullable=False),
    Column("type", text(64), nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("due_at", BigInteger, nullable=False),
    Column("attempts", BigInteger, nullable=False),
    Column("token", text(64)),
    Column("error", DOCUMENT),
    Column("document", DOCUMENT, nullable=False),
    Index("outbox_destination", "destination", "position"),
    # Is there an earlier one of this subject?
    Index("outbox_subject", "destination", "subject", "position"),
    sqlite_autoincrement=True,  # a place that was used is never used again
)

periodic_jobs = Table(
    "periodic_jobs",
    METADATA,
    Column("name", text(255), primary_key=True),
    # '' when nobody has it.
    Column("holder", text(255), nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Column("document", DOCUMENT, nullable=False),
)

# Of extensions: see glancecore.ports.record_repository.
records = Table(
    "records",
    METADATA,
    Column("collection", text(64), nullable=False),
    Column("id", text(255), nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("image_id", text(36), ForeignKey("images.id", ondelete="CASCADE")),
    Column("expires_at", BigInteger),
    *(Column(f"key{number}", text(255)) for number in range(MOST_KEYS)),
    Column("data", DOCUMENT, nullable=False),
    PrimaryKeyConstraint("collection", "id"),
    *(Index(f"records_key{number}", "collection", f"key{number}", "id") for number in range(MOST_KEYS)),
    Index("records_image", "image_id", "collection", "id"),
    Index("records_expires", "collection", "expires_at", "id"),
)

project_usage = Table(
    "project_usage",
    METADATA,
    # '' for images without owner.
    Column("project", text(255), primary_key=True),
    Column("bytes", BigInteger, nullable=False),
    Column("staged_bytes", BigInteger, nullable=False),
    Column("images", BigInteger, nullable=False),
    Column("uploading", BigInteger, nullable=False),
    Column("metadata_bytes", BigInteger, nullable=False, server_default="0"),
)

removed_images = Table(
    "removed_images",
    METADATA,
    Column("id", text(36), primary_key=True),
    Column("removed_at", BigInteger, nullable=False),
    Column("owner", text(255)),
    Index("removed_images_removed", "removed_at"),
)

# A namespace of metadata definitions is one row with everything in it, as an image is.
metadef_namespaces = Table(
    "metadef_namespaces",
    METADATA,
    Column("id", text(36), primary_key=True),
    Column("namespace", text(80), nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Column("display_name", text(80)),
    Column("description", DOCUMENT),
    Column("visibility", text(16), nullable=False),
    Column("protected", SmallInteger, nullable=False),
    Column("owner", text(255)),
    Column("version", BigInteger, nullable=False),
    Column("associations", DOCUMENT, nullable=False),
    Column("properties", DOCUMENT, nullable=False),
    Column("objects", DOCUMENT, nullable=False),
    Column("tags", DOCUMENT, nullable=False),
    Index("metadef_namespaces_name", "namespace", unique=True),
    # Each slice of a list is a range of one of these, in order.
    Index("metadef_namespaces_created", "created_at", "namespace"),
    Index("metadef_namespaces_owner_created", "owner", "created_at", "namespace"),
    Index("metadef_namespaces_owner_name", "owner", "namespace"),
    Index("metadef_namespaces_visibility_created", "visibility", "created_at", "namespace"),
    Index("metadef_namespaces_visibility_name", "visibility", "namespace"),
)

metadef_associations = Table(
    "metadef_associations",
    METADATA,
    # Which namespaces are associated with this type?
    Column("resource_type", text(80), nullable=False),
    Column("namespace_id", text(36), ForeignKey("metadef_namespaces.id", ondelete="CASCADE"), nullable=False),
    PrimaryKeyConstraint("resource_type", "namespace_id"),
    Index("metadef_associations_namespace", "namespace_id"),
)

metadef_resource_types = Table(
    "metadef_resource_types",
    METADATA,
    Column("name", text(80), primary_key=True),
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
)
