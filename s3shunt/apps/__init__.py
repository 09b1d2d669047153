"""Where the corridor ends."""
