"""upscalers."""
