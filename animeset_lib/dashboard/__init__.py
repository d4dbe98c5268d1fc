"""The Voila dashboard: what it decides, what it shows, and its words in two languages."""

__all__ = ["MAX_UPLOAD"]

MAX_UPLOAD = "ANIMESET_MAX_UPLOAD_GB"
"""The variable that says the page how many gigabytes an upload may have; here, so that the server need not load what the page is made of."""
