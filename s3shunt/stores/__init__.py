"""Bytes at once: what lies behind ``[store:x]``."""
