"""The ``webhook`` notifier: events as CloudEvents over HTTP."""
