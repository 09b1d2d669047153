"""Alembic's entry: the connection is handed in by ``Database.upgrade``, in a transaction of its own."""

from alembic import context

from s3shunt.catalog.sql.schema import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata, transactional_ddl=True)
with context.begin_transaction():
    context.run_migrations()
