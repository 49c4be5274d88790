"""Work in the background, in a fair order, that can be watched, cancelled and found again."""
