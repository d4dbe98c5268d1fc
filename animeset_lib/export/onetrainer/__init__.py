"""onetrainer."""
