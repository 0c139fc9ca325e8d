"""What metadata definitions are used for beside being read."""

from __future__ import annotations

from oslo_config import cfg

OPTIONS: dict[str, list[cfg.Opt]] = {
    "metadefs": [
        cfg.StrOpt(
            "image_properties",
            default="off",
            choices=["off", "report", "enforce"],
            help=(
                "Hold new and changed image properties against the metadata definitions for OS::Glance::Image that are "
                "public or of the image's owner. off: not at all; report: log and count what breaks a rule; enforce: "
                "refuse it with 400. Properties without a definition are always taken."
            ),
        ),
    ],
}
