"""taggers."""
