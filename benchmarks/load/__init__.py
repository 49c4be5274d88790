"""Many people at once on the real server."""
