"""animeset."""
