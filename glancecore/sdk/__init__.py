"""What drivers and extensions call: they import this, ``glancecore.ports`` and ``glancecore.domain``, and nothing else
of the service."""
