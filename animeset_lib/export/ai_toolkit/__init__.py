"""ai_toolkit."""
