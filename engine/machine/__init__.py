"""What one machine bears: memory, chunks that fit into it, files written whole."""
