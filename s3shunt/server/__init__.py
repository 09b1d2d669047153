"""The listener: how ``s3shunt serve`` meets the network."""
