"""A model with only some edges live: the plain way, the fast way, and how true a circuit's edges are."""
