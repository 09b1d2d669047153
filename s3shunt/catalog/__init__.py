"""Where each object is: what lies behind ``[catalog:x]``."""
