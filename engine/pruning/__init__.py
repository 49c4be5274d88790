"""From head scores to the heads to search in: keep masks, the sparsity sweep, cliffs, unions (METHOD 2.3 – 2.6)."""
