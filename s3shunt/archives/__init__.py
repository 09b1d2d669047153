"""Bytes after hours: what lies behind ``[archive:x]``."""
