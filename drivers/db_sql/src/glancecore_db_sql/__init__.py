"""Images in SQLite, MariaDB, MySQL or PostgreSQL."""
