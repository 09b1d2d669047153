"""Decisions, pure: facts in, verdict out. No I/O, no clock, no logging."""
