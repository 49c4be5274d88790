"""What work costs: the ledger of what was done, and estimates of what is to come."""
