"""One S3 namespace over hot storage and a slow archive."""

__version__ = "0.1.0"
