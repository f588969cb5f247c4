"""The tables of what was done and decided: the audit log, and the decisions kept beside it."""

from sqlalchemy import BigInteger, Boolean, Column, Index, LargeBinary, MetaData, Table, Text, text

from services.authz.domain.audit import Outcome
from services.authz.store.columns import EnumText, Texts
from services.kernel.db.tables import Json, KeyText, UtcTime
from services.policy.model import Plane


def add_audit(metadata: MetaData) -> tuple[Table, Table, Table]:
    """Declare the tables of the chains, of the records and of the requests that appended them."""
    # The end of each chain: of a tenant, or of the installation ("/").
    audit_chains = Table(
        "audit_chains",
        metadata,
        Column("chain", KeyText, primary_key=True),
        Column("sequence", BigInteger, nullable=False),
        Column("digest", Text, nullable=False),
    )
    audit_records = Table(
        "audit_records",
        metadata,
        Column("chain", KeyText, primary_key=True),
        Column("sequence", BigInteger, primary_key=True, autoincrement=False),
        Column("home_key", KeyText, nullable=False),
        Column("resource_key", KeyText, nullable=False),
        Column("name", Text, nullable=False),
        Column("event_time", UtcTime, nullable=False),
        Column("caller", Text, nullable=False),
        Column("workload", Text, nullable=False),
        Column("method", Text, nullable=False),
        Column("action", Text, nullable=False),
        Column("resource", Text, nullable=False),
        Column("outcome", EnumText(Outcome), nullable=False),
        Column("reason", Text, nullable=False),
        Column("decision_id", Text, nullable=False),
        Column("revision", BigInteger, nullable=False),
        Column("request_id", Text, nullable=False),
        Column("trace_parent", Text, nullable=False),
        Column("details", Json, nullable=False),
        Column("create_time", UtcTime, nullable=False),
        Column("previous_digest", Text, nullable=False),
        Column("digest", Text, nullable=False),
        Index("ix_audit_records_event_time", "event_time", "chain", "sequence"),
        Index("ix_audit_records_chain_time", "chain", "event_time", "sequence"),
        Index("ix_audit_records_home_time", "home_key", "event_time", "chain", "sequence"),
        # Few tell of one.
        Index(
            "ix_audit_records_decision_id",
            "decision_id",
            sqlite_where=text("decision_id <> ''"),
            postgresql_where=text("decision_id <> ''"),
        ),
    )
    # Appends are idempotent for ever, unlike the calls in the request log.
    audit_requests = Table(
        "audit_requests",
        metadata,
        Column("request_id", Text, primary_key=True),
        Column("workload", Text, primary_key=True),
        Column("digest", LargeBinary, nullable=False),
        Column("names", Texts, nullable=False),
    )
    return audit_chains, audit_records, audit_requests


def add_decisions(metadata: MetaData) -> Table:
    """Declare the table of decisions that can be asked to be explained."""
    # Kept as long as the log of changes, so that they can be explained.
    return Table(
        "decisions",
        metadata,
        Column("id", Text, primary_key=True),
        Column("subject", Text, nullable=False),
        Column("action", Text, nullable=False),
        Column("resource", Text, nullable=False),
        Column("plane", EnumText(Plane), nullable=False),
        Column("context", Json, nullable=False),
        Column("allowed", Boolean, nullable=False),
        Column("reason", Text, nullable=False),
        Column("epoch", BigInteger, nullable=False),
        Column("revision", BigInteger, nullable=False),
        Column("time", UtcTime, nullable=False, index=True),
    )
