"""The doors of the corridor, one concern each, in the order the ini gives."""
