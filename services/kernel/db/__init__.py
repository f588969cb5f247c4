"""Storage on SQLite and PostgreSQL: transactions and the tables that every service has."""
