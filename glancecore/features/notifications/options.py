"""Events that wait for their receivers, for notifiers that lose none."""

from __future__ import annotations

from oslo_config import cfg

OPTIONS: dict[str, list[cfg.Opt]] = {
    "outbox": [
        cfg.BoolOpt(
            "deliver",
            default=True,
            help=(
                "Whether this glance-api delivers what is in the outbox, whichever process has put it there. Switch it"
                " off on machines from which the receivers can't be reached; one that delivers is enough."
            ),
        ),
        cfg.FloatOpt(
            "interval",
            default=1.0,
            min=0.05,
            help="Seconds between two looks for events that other processes have put there.",
        ),
        cfg.IntOpt(
            "batch", default=100, min=1, max=1000, help="Most events that one process takes for a receiver at once."
        ),
        cfg.FloatOpt(
            "claim_seconds",
            default=60.0,
            min=2.0,
            help=(
                "Seconds after which events that a process has taken, and not delivered because it died, are taken by"
                " another."
            ),
        ),
        cfg.FloatOpt(
            "first_pause",
            default=1.0,
            min=0.05,
            help=(
                "Seconds between the first and the second attempt to deliver; then twice as many each time, up to"
                " longest_pause. Each is shortened by a random part, up to half of it."
            ),
        ),
        cfg.FloatOpt("longest_pause", default=300.0, min=0.05, help="Most seconds between two attempts."),
        cfg.FloatOpt(
            "max_age",
            default=0.0,
            min=0,
            help=(
                "Seconds after which an event that could not be delivered is dropped and logged. 0: it is kept until it"
                " is delivered, or removed with glance-manage outbox purge."
            ),
        ),
    ],
}
