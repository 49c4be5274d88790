"""One machine for many people: what each may ask for, and what the server tells its keeper."""
