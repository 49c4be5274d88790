"""How far a circuit can be trusted: self-tests, receipts, stability, and what others found."""
