"""What every adapter of a port has to keep: subclass, give a fixture, run."""
