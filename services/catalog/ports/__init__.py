"""What use cases need of the world: transactions with their stores, other services, the policy.

How a use case is written. It is a function of a command, the `Context` of the call and what it
depends on. Whatever needs another service, or can be said without the database, comes first;
then `mutation.commit` runs the rest, as a function of `Tx`, in one transaction. That function
may run more than once and has no effect outside of the transaction. It collects violations in a
copy of the context's (`context.violations.copy()`), and raises them once.
"""
