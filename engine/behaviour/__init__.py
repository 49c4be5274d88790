"""What heads do, measured: where they look and what they write, and the roles that follow from it."""
