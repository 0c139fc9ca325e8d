"""What the operator has chosen about image data."""

from __future__ import annotations

from dataclasses import dataclass

from glancecore.kernel.transfer.inspection import InspectionRules


@dataclass(frozen=True, slots=True)
class DataSettings:
    """The operator's choices about data. ``size_cap`` in bytes; ``algorithm`` is a hashlib name; ``checksum``: images
    have an MD5 beside it."""

    size_cap: int
    algorithm: str
    inspection: InspectionRules
    checksum: bool = True
