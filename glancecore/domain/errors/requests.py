"""What is wrong with a request, or stands in its way: identity, permission, what is not there, what is not valid,
conflicts, limits."""

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


class IdentityUnavailable(GlanceError):
    """Who sends a request can't be found out at the moment."""

    code = "identity_unavailable"
    retryable = True


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


class UploadNotFound(NotFound):
    """No such upload session, or not one of the caller's: both look the same."""

    code = "upload_not_found"


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
    """A list that more images would have to be looked through for than it is worth; the message says what would narrow
    it."""

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


class OffsetMismatch(Conflict):
    """A piece of an upload begins elsewhere than at ``offset``, where the upload goes on."""

    code = "offset_mismatch"

    def __init__(self, message: str, offset: int) -> None:
        super().__init__(message)
        self.offset = offset


class LeaseLost(Conflict):
    """The operation no longer holds the image; somebody else has taken it over."""

    code = "lease_lost"


class Gone(GlanceError):
    """The image was deleted while it was worked on."""

    code = "gone"


class UploadGone(Gone):
    """An upload session that has ended without its data; the message says why."""

    code = "upload_gone"


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
