"""From effects to a circuit: path patching's walk, and the other searches it is held against."""
