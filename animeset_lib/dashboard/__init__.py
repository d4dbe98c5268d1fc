"""The Voila dashboard: what it decides, what it shows, and its words in two languages."""
