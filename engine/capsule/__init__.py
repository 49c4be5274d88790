"""Run capsules: one file with everything of a run, written here and read, compared and recomputed elsewhere."""
