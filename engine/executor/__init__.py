"""Work cut into units that any process or machine can do alone, and who does them: this process, or workers of Ray."""
