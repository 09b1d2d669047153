"""``python -m s3shunt`` is the ``s3shunt`` command."""

from s3shunt.cli.main import main

if __name__ == "__main__":
    main()
