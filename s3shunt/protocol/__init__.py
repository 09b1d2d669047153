"""The S3 language, pure: bytes and text in, values out. No I/O, no clock, no logging."""
