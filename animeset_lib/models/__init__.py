"""Model adapters behind four protocols (`api`), and the table that chooses among them (`zoo`)."""
