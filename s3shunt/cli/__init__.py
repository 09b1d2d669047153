"""The ``s3shunt`` command: parse, call, print."""
