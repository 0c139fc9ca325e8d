"""Uploads in pieces, for the extensions that take them."""

from __future__ import annotations

from oslo_config import cfg

OPTIONS: dict[str, list[cfg.Opt]] = {
    "uploads": [
        cfg.FloatOpt(
            "keep_for",
            default=86400.0,
            min=10.0,
            help=(
                "Seconds for which an upload in pieces is kept after its last piece. Then what has come is removed, and"
                " the image is queued again."
            ),
        ),
        cfg.IntOpt(
            "max_per_project",
            default=100,
            min=0,
            help="Uploads in pieces that a project may have begun and not ended; others of it get 413. 0: no limit.",
        ),
        cfg.IntOpt(
            "part_size",
            default=64 << 20,
            min=1 << 20,
            help=(
                "Bytes of a long piece after which what has come is made durable, so that no more than that is sent"
                " twice when a process dies. At the end of a piece, and when a connection breaks, whatever has come is."
            ),
        ),
        cfg.FloatOpt(
            "patience",
            default=10.0,
            min=0,
            help=(
                "Seconds that the client's last request waits for the image to become active. Beyond that it is told"
                " that all bytes have come, and sees in the image's status when it is; keep it below the time-outs of"
                " proxies in front."
            ),
        ),
        cfg.IntOpt(
            "workers",
            default=4,
            min=1,
            help=(
                "Images that a process makes of the pieces at the same time; others wait. One project has all but one"
                " of these places, so that the others' never wait for its last."
            ),
        ),
    ],
}
