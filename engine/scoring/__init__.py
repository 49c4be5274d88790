"""Head scores that take runs of the model, beside the formulas in engine/scores/."""
