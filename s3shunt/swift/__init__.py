"""Everything that imports OpenStack Swift."""
