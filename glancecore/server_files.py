"""Local files, sent by the kernel."""

from __future__ import annotations

import os
import socket
from typing import Any, Protocol

from gunicorn.http.wsgi import FileWrapper

_TCP = (socket.AF_INET, socket.AF_INET6)
#: What one system call may send.
_MOST = 1 << 30


class _File(Protocol):
    def fileno(self) -> int: ...


class FileSocket:
    """The connection of one answer that is a file. Python's own ``sendfile`` waits for ever when the time that the socket has for sending
    is over, and is content with a file that is too short."""

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection
        self.sendall = connection.sendall

    def sendfile(self, file: _File, offset: int = 0, count: int = 0) -> None:
        """Raises OSError: the client has gone, or has taken nothing for too long; EOFError: the file has no ``count`` bytes from there on."""
        out, source = self._socket.fileno(), file.fileno()
        while count:
            sent = os.sendfile(out, source, offset, min(count, _MOST))
            if not sent:
                raise EOFError(f"the file ends {count} bytes too early")
            offset, count = offset + sent, count - sent


def sending_files(app: Any) -> Any:
    """The WSGI application whose files go out by ``FileSocket``, and in whole packets until the answer ends, as nginx's do (tcp_nopush):
    half as fast again over loopback."""
    def run(environ: dict[str, Any], start_response: Any) -> Any:
        answer = app(environ, start_response)
        if isinstance(answer, FileWrapper):
            response = start_response.__self__
            hold_back(response.sock, True)
            response.sock = FileSocket(response.sock)
        return answer

    return run


def hold_back(connection: socket.socket, on: bool) -> None:
    """Send whole packets only; ``on`` False: what is held back goes. Raises OSError for a closed connection."""
    if connection.family in _TCP:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, int(on))
