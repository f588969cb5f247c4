"""Region stores: the adapters behind `services.replication.content.store`."""
