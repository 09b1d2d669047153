"""The kit that ships: a house in one process, a signing client, contracts, faults."""
