"""Background duties as registered steps, each safe to repeat and to kill."""
