"""The plugins that come with the core, so that it runs with none installed: loaded by entry point like any other."""
