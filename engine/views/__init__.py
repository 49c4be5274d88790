"""Results put in order for a reader: pure, and nothing is measured here."""
