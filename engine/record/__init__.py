"""Runs as JSON, schema ``headlight/1``, and read back from it."""
