"""OpenTelemetry traces: the ``tracing`` extension."""
