"""What lies in `output/`: publishing, the one reader of it, and the one log of what people changed."""
