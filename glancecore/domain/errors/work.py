"""What goes wrong in the work on data: its content, imports, stores, the cache, the database, plugins, the
configuration."""

from __future__ import annotations

from glancecore.domain.errors.requests import Conflict, GlanceError, Invalid


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
    """The store's data is not where it is expected: a disk that is not mounted, or another one. Nothing is known of its
    blobs."""


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
    """A plugin is installed and can't be used. The message, which is the operator's, says which and why; ``__cause__``
    is what it raised."""

    code = "plugin_broken"


class ConfigError(GlanceError):
    """The operator's mistake: stops the start. The message names option and fix."""

    code = "config_error"


class SchemaUnknown(ConfigError):
    """The database's schema is of a newer release, or of another program: nothing that this release does to it can
    help."""

    code = "schema_unknown"
