"""everydream."""
