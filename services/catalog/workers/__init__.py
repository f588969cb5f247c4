"""What goes on without a caller: outbox, feed, expiry."""
