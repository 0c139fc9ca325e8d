"""What every capability stands on: commits with events, work under leases, the reaper, events."""
