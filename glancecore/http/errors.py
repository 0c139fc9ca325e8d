"""The one table from errors to HTTP, and how an error looks on the wire."""

from __future__ import annotations

import html
import logging
from http import HTTPStatus

import orjson
from flask import Response
from werkzeug.exceptions import HTTPException

from glancecore.domain import errors

LOG = logging.getLogger(__name__)

#: The most specific class of an error's MRO wins.
STATUS: dict[type[errors.GlanceError], int] = {
    errors.GlanceError: 500,
    errors.NotAuthenticated: 401,
    errors.TooManyAttempts: 429,
    errors.IdentityUnavailable: 503,
    errors.Forbidden: 403,
    errors.ReservedProperty: 403,
    errors.ReadOnlyProperty: 403,
    errors.ProtectedImage: 403,
    errors.ProtectedProperty: 403,
    errors.ProtectedMetadef: 403,
    errors.LastLocation: 403,
    errors.ImageDeactivated: 403,
    errors.NotFound: 404,
    errors.ImageNotFound: 404,
    errors.MemberNotFound: 404,
    errors.TagNotFound: 404,
    errors.TaskNotFound: 404,
    errors.RecordNotFound: 404,
    errors.UploadNotFound: 404,
    errors.LocationNotFound: 404,
    errors.NamespaceNotFound: 404,
    errors.MetadefNotFound: 404,
    errors.NotEnabled: 404,
    errors.Invalid: 400,
    errors.UnknownMarker: 400,
    errors.TooBroad: 400,
    errors.UnknownStore: 400,
    errors.PropertiesInvalid: 400,
    errors.UnknownMethod: 400,
    errors.SizeMismatch: 400,
    errors.TruncatedBody: 400,
    errors.LengthRequired: 411,
    errors.UnsupportedContentType: 415,
    errors.RangeNotSatisfiable: 416,
    errors.HeaderTooLarge: 431,
    errors.Conflict: 409,
    errors.ImageExists: 409,
    errors.MemberExists: 409,
    errors.MetadefExists: 409,
    errors.TaskExists: 409,
    errors.RecordExists: 409,
    errors.UnknownImportStore: 409,
    errors.WrongStatus: 409,
    errors.ImageBusy: 409,
    errors.ConcurrentChange: 409,
    errors.OffsetMismatch: 409,
    errors.LeaseLost: 409,
    errors.Gone: 410,
    errors.UploadGone: 410,
    errors.LimitExceeded: 413,
    errors.TooLarge: 413,
    errors.QuotaExceeded: 413,
    errors.QuotaUnavailable: 503,
    errors.TooManyTransfers: 429,
    errors.ServerBusy: 503,
    errors.BadContent: 415,
    errors.FormatMismatch: 415,
    errors.UnsafeContent: 415,
    errors.ImportFailed: 409,
    errors.ImportCancelled: 409,
    errors.Suspended: 503,
    errors.FetchFailed: 502,
    errors.SignatureInvalid: 400,
    errors.CertificatesUnavailable: 503,
    errors.StepFailed: 415,
    errors.DecompressionRefused: 415,
    errors.ConversionFailed: 415,
    errors.HashMismatch: 415,
    errors.StoreError: 503,
    errors.BlobNotFound: 404,
    errors.BlobExists: 409,
    errors.BlobInUse: 409,
    errors.BadLocation: 400,
    errors.StoreFull: 413,
    errors.StoreReadOnly: 410,
    errors.StoreDraining: 409,
    errors.StoreForbidden: 503,
    errors.StoreUnavailable: 503,
    errors.PlaceMissing: 503,
    errors.PluginBroken: 503,
    errors.DataDamaged: 503,
    errors.Unsupported: 503,
    errors.CacheUnavailable: 503,
    errors.FillBroken: 503,
    errors.FillDamaged: 503,
    errors.NoNodeData: 409,
    errors.DatabaseUnavailable: 503,
    errors.JobStopped: 503,
    errors.ConfigError: 500,
}
#: Codes of errors that werkzeug finds: no such path, wrong method, malformed request.
_HTTP_CODES = {
    400: "bad_request",
    404: "not_found",
    405: "method_not_allowed",
    411: "length_required",
    413: "too_large",
    414: "uri_too_long",
    415: "unsupported_content_type",
    431: "header_too_large",
    501: "not_implemented",
}


def status_of(error: errors.GlanceError) -> int:
    return next(STATUS[cls] for cls in type(error).__mro__ if cls in STATUS)


def answer(exc: Exception, accept: str | None) -> Response:
    """Any exception as a response; one that is not a client's or a backend's trouble is logged as our bug."""
    headers: dict[str, str] = {}
    if isinstance(exc, errors.GlanceError):
        status, code, message = status_of(exc), exc.code, str(exc)
        headers = _headers(exc)
        if exc.retryable and status in (HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.TOO_MANY_REQUESTS):
            headers["Retry-After"] = "5"
    elif isinstance(exc, HTTPException) and exc.code is not None:
        status, message = exc.code, exc.description or ""
        code = _HTTP_CODES.get(status, "bad_request" if status < 500 else "internal_error")
        headers = {name: value for name, value in exc.get_headers() if name in ("Allow", "Retry-After")}
    else:
        status, code, message = (
            500,
            "internal_error",
            "The server failed; the request id tells its operator where to look.",
        )
    if status == HTTPStatus.INTERNAL_SERVER_ERROR:
        LOG.error("a request failed by a fault of the service", exc_info=exc)
        message = "The server failed; the request id tells its operator where to look."
    response = render(status, code, message, accept)
    response.headers.extend(headers)
    return response


def render(status: int, code: str, message: str, accept: str | None) -> Response:
    """The three forms that clients know: plain text without Accept, JSON when asked for or when Accept is empty, else
    HTML."""
    title = HTTPStatus(status).phrase
    line = f"{status} {title}"
    if accept is None or "text/plain" in accept:
        return Response(f"{line}\n\n{message}\n", status, content_type="text/plain; charset=UTF-8")
    if not accept or "application/json" in accept:
        body = {"message": message, "code": line, "title": title, "error": code}
        return Response(orjson.dumps(body), status, content_type="application/json")
    text = (
        f"<html>\n <head>\n  <title>{line}</title>\n </head>\n <body>\n  <h1>{line}</h1>\n "
        f" {html.escape(message, quote=False)}<br /><br />\n </body>\n</html>"
    )
    return Response(text, status, content_type="text/html; charset=UTF-8")


def _headers(exc: errors.GlanceError) -> dict[str, str]:
    if isinstance(exc, errors.UnsupportedContentType) and exc.accepted:
        return {"Accept-Patch": ", ".join(exc.accepted)}
    if isinstance(exc, errors.RangeNotSatisfiable):
        return {"Content-Range": f"bytes */{exc.size}"}
    return {}
