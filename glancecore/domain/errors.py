"""Every exception that crosses a layer. None knows HTTP; ``http/errors.py`` maps them.

``str(error)`` is shown to users: it names the image, the field or the store, never a URL, a path or a
credential. ``code`` is stable: clients may act on it. ``retryable`` says whether the same call may succeed later.
"""

from __future__ import annotations


class GlanceError(Exception):
    """The root. ``code`` never changes its meaning once released."""

    code = "internal_error"
    retryable = False


def for_operators(exc: Exception) -> str:
    """What users may read, and behind it the notes that they may not."""
    return ": ".join([str(exc), *getattr(exc, "__notes__", ())])


class NotAuthenticated(GlanceError):
    code = "not_authenticated"


class TooManyAttempts(GlanceError):
    """Too many wrong passwords, from there."""

    code = "too_many_attempts"
    retryable = True


class Forbidden(GlanceError):
    """Policy or a domain rule says no to this caller."""

    code = "forbidden"


class ReservedProperty(Forbidden):
    """A name that only the service itself sets."""

    code = "reserved_property"


class ReadOnlyProperty(Forbidden):
    code = "read_only_property"


class ProtectedImage(Forbidden):
    code = "image_protected"


class ProtectedProperty(Forbidden):
    """Property protection denies it."""

    code = "property_protected"


class ProtectedMetadef(Forbidden):
    """Nothing is deleted of a protected namespace of metadata definitions."""

    code = "metadef_protected"


class LastLocation(Forbidden):
    """The only copy of an active image can't be removed."""

    code = "last_location"


class ImageDeactivated(Forbidden):
    code = "image_deactivated"


class NotFound(GlanceError):
    code = "not_found"


class ImageNotFound(NotFound):
    """No such image, or not one that the caller may see: both look the same."""

    code = "image_not_found"


class MemberNotFound(NotFound):
    code = "member_not_found"


class TagNotFound(NotFound):
    code = "tag_not_found"


class TaskNotFound(NotFound):
    code = "task_not_found"


class RecordNotFound(NotFound):
    """Of an extension's collection."""

    code = "record_not_found"


class LocationNotFound(NotFound):
    """The image has no copy there."""

    code = "location_not_found"


class NamespaceNotFound(NotFound):
    """No such namespace of metadata definitions, or not one that the caller may see."""

    code = "namespace_not_found"


class MetadefNotFound(NotFound):
    """The namespace has no such object, property, tag or resource type."""

    code = "metadef_not_found"


class NotEnabled(NotFound):
    """A part of the API that this deployment has not switched on."""

    code = "not_enabled"


class Invalid(GlanceError):
    """The caller's mistake in a value; the message names field and allowed values."""

    code = "invalid"


class UnknownMarker(Invalid):
    code = "unknown_marker"


class TooBroad(Invalid):
    """A list that more images would have to be looked through for than it is worth; the message says what would narrow it."""

    code = "too_broad"


class UnknownStore(Invalid):
    code = "unknown_store"


class PropertiesInvalid(Invalid):
    """Values that the metadata definitions refuse; the message names property, namespace and rule."""

    code = "properties_invalid"
class UnknownMethod(Invalid):
    """An import method that this deployment has not switched on."""

    code = "unknown_method"


class SizeMismatch(Invalid):
    """More or fewer bytes than declared."""

    code = "size_mismatch"


class TruncatedBody(Invalid):
    """The body ended before its end was proved."""

    code = "truncated_body"


class LengthRequired(GlanceError):
    """This server can't prove where a body without a declared length ends."""

    code = "length_required"


class UnsupportedContentType(GlanceError):
    code = "unsupported_content_type"

    def __init__(self, message: str, accepted: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.accepted = accepted


class RangeNotSatisfiable(GlanceError):
    """``size`` is the whole blob's, in bytes."""

    code = "range_not_satisfiable"

    def __init__(self, message: str, size: int) -> None:
        super().__init__(message)
        self.size = size


class HeaderTooLarge(GlanceError):
    code = "header_too_large"


class Conflict(GlanceError):
    code = "conflict"


class ImageExists(Conflict):
    """The id is in use, or was by a deleted image that has not been purged."""

    code = "image_exists"


class MemberExists(Conflict):
    code = "member_exists"


class MetadefExists(Conflict):
    """The name of a namespace, or of a part of one, is in use."""

    code = "metadef_exists"
class UnknownImportStore(Conflict):
    """As ``UnknownStore``, in an import: clients know a 409 there."""

    code = "unknown_store"


class TaskExists(Conflict):
    code = "task_exists"


class RecordExists(Conflict):
    code = "record_exists"


class WrongStatus(Conflict):
    """The image's status does not allow it; the message names the status and what is needed."""

    code = "wrong_status"


class ImageBusy(Conflict):
    """Another operation holds the image."""

    code = "image_busy"
    retryable = True


class ConcurrentChange(Conflict):
    """The image changed since it was read."""

    code = "concurrent_change"
    retryable = True


class LeaseLost(Conflict):
    """The operation no longer holds the image; somebody else has taken it over."""

    code = "lease_lost"


class Gone(GlanceError):
    """The image was deleted while it was worked on."""

    code = "gone"


class LimitExceeded(GlanceError):
    """A quota or a limit on size or number."""

    code = "limit_exceeded"


class TooLarge(LimitExceeded):
    code = "too_large"


class QuotaExceeded(LimitExceeded):
    code = "quota_exceeded"


class QuotaUnavailable(GlanceError):
    """What the project may use can't be learnt now: nothing is let through."""

    code = "quota_unavailable"
    retryable = True


class TooManyTransfers(GlanceError):
    """The project, or the client's address, has as many transfers under way as it may."""

    code = "too_many_transfers"
    retryable = True


class ServerBusy(GlanceError):
    """The server carries as many transfers as it can."""

    code = "server_busy"
    retryable = True


class BadContent(GlanceError):
    """The bytes are not what the image says, or unsafe."""

    code = "bad_content"


class FormatMismatch(BadContent):
    code = "format_mismatch"


class UnsafeContent(BadContent):
    code = "unsafe_content"


class ImportFailed(GlanceError):
    """An import ended without its data; the subclass says what to do about it."""

    code = "import_failed"


class ImportCancelled(ImportFailed):
    """Somebody who may has cancelled it."""

    code = "cancelled"


class Suspended(GlanceError):
    """This process is stopping; another one goes on with the work. Never shown to users."""

    code = "suspended"
    retryable = True


class ImportSuspended(Suspended, ImportFailed):
    """That of an import."""


class FetchFailed(ImportFailed):
    """The data could not be got from where it was to come from."""

    code = "fetch_failed"
    retryable = True


class SecretsUnreadable(ImportFailed):
    """What was kept of the caller's secrets is sealed with another key than those of this process."""

    code = "secrets_unreadable"


class SignatureInvalid(Invalid):
    """The signature of the data is wrong, or can't be checked with what the image says of it."""

    code = "signature_invalid"


class CertificatesUnavailable(GlanceError):
    """The certificates of signed images can't be asked for now: nothing is believed unchecked."""

    code = "certificates_unavailable"
    retryable = True


class StepFailed(ImportFailed):
    """An import step could not do its work on this data."""

    code = "step_failed"


class DecompressionRefused(StepFailed):
    """What would come out is too large, or the archive is not one that is taken."""

    code = "decompression_refused"


class ConversionFailed(StepFailed):
    code = "conversion_failed"


class HashMismatch(BadContent):
    """The data has another digest than the caller said; the message tells both."""

    code = "hash_mismatch"


class StoreError(GlanceError):
    """Trouble with a store; ``store`` is the operator's name for it, ``operation`` what was tried."""

    code = "store_error"
    retryable = True

    def __init__(self, message: str, store: str = "", operation: str = "") -> None:
        super().__init__(message)
        self.store = store
        self.operation = operation


class BlobNotFound(StoreError):
    """No such blob, or a location that this store did not make."""

    code = "blob_not_found"
    retryable = False


class BlobExists(StoreError):
    code = "blob_exists"
    retryable = False


class BlobInUse(StoreError):
    """Something depends on it: clones, snapshots, open handles."""

    code = "blob_in_use"


class BadLocation(StoreError):
    """A location URL that this store refuses."""

    code = "bad_location"
    retryable = False


class StoreFull(StoreError):
    code = "store_full"


class StoreReadOnly(StoreError):
    code = "store_read_only"
    retryable = False


class StoreDraining(StoreReadOnly):
    """The operator takes the store out of service: what is there is read and deleted, nothing new comes."""

    code = "store_draining"


class StoreForbidden(StoreError):
    """The backend refuses the service's credentials or permissions."""

    code = "store_forbidden"


class StoreUnavailable(StoreError):
    """The backend does not answer, or not in time."""

    code = "store_unavailable"


class PlaceMissing(StoreUnavailable):
    """The store's data is not where it is expected: a disk that is not mounted, or another one. Nothing is known of its blobs."""


class DataDamaged(StoreError):
    """No copy of the data is good: the bytes are not given out under a hash that they don't have."""

    code = "data_damaged"
    retryable = False


class Unsupported(StoreError):
    """An operation that the driver does not declare among its capabilities."""

    code = "unsupported"
    retryable = False


class CacheUnavailable(GlanceError):
    """The image cache can't be used now; image data comes from the stores all the same."""

    code = "cache_unavailable"
    retryable = True


class FillBroken(CacheUnavailable):
    """Who was filling an entry of the cache has given up, or died."""

    code = "cache_fill_broken"


class FillDamaged(CacheUnavailable):
    """What was read to fill an entry of the cache is not what the image's hash says."""

    code = "data_damaged"
    retryable = False


class NoNodeData(Conflict):
    """Which nodes hold an image in their caches is not recorded."""

    code = "no_node_data"


class DatabaseUnavailable(GlanceError):
    code = "database_unavailable"
    retryable = True


class JobStopped(GlanceError):
    """A periodic job must end: its process is stopping, or no longer leads."""

    code = "job_stopped"
    retryable = True


class PluginBroken(GlanceError):
    """A plugin is installed and can't be used. The message, which is the operator's, says which and why; ``__cause__`` is what it raised."""

    code = "plugin_broken"


class ConfigError(GlanceError):
    """The operator's mistake: stops the start. The message names option and fix."""

    code = "config_error"


class SchemaUnknown(ConfigError):
    """The database's schema is of a newer release, or of another program: nothing that this release does to it can help."""

    code = "schema_unknown"
