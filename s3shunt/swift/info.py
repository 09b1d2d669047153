"""What a Swift proxy that runs our filters says of them in ``/info``."""

from s3shunt import __version__


def register(**facts: object) -> bool:
    """Add ``s3shunt`` to Swift's ``/info``; False where there is no Swift."""
    try:
        from swift.common.registry import register_swift_info
    except ImportError:
        return False
    register_swift_info("s3shunt", version=__version__, **facts)
    return True
