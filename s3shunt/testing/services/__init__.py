"""Real services as context managers: private, on the loopback, stopped by pid."""
