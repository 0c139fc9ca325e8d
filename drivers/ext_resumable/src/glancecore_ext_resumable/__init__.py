"""Resumable uploads for HTTP, as the IETF drafts them (draft-ietf-httpbis-resumable-upload, interop version 8)."""
