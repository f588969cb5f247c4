import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import inspect, make_url, text

from services.kernel.db.migrations import (
    SchemaMismatchError,
    check_schema,
    migrate,
    newest_revision,
)

ENVIRONMENT = """
from sqlalchemy import MetaData
from services.kernel.db.migrations import run_environment

run_environment(MetaData())
"""

REVISION = """
import sqlalchemy as sa
from alembic import op

revision = {revision!r}
down_revision = {down!r}


def upgrade():
    {upgrade}
"""


@pytest.fixture
def scripts(tmp_path: Path) -> Path:
    directory = tmp_path / "migrations"
    (directory / "versions").mkdir(parents=True)
    (directory / "env.py").write_text(ENVIRONMENT)
    add(directory, "0001", None, 'op.create_table("a", sa.Column("x", sa.Integer))')
    return directory


def add(directory: Path, revision: str, down: str | None, upgrade: str) -> None:
    text_ = REVISION.format(revision=revision, down=down, upgrade=upgrade)
    (directory / "versions" / f"{revision}.py").write_text(text_)


def table_names(url: str, open_database) -> set[str]:
    names = open_database(url).read(lambda c: inspect(c).get_table_names())
    return set(names) - {"alembic_version"}


def test_an_empty_database_is_brought_to_the_newest_revision(database_url, scripts, open_database):
    add(scripts, "0002", "0001", 'op.create_table("b", sa.Column("x", sa.Integer))')
    assert migrate(database_url, scripts) == "0002" == newest_revision(scripts)
    assert table_names(database_url, open_database) == {"a", "b"}


def test_migrating_again_changes_nothing_and_goes_on_from_there(
    database_url, scripts, open_database
):
    migrate(database_url, scripts)
    migrate(database_url, scripts)
    add(scripts, "0002", "0001", 'op.add_column("a", sa.Column("y", sa.Integer))')
    migrate(database_url, scripts)
    db = open_database(database_url)
    assert db.read(lambda c: c.execute(text("SELECT x, y FROM a")).all()) == []


def test_a_migration_that_fails_leaves_the_schema_as_it_was(database_url, scripts, open_database):
    migrate(database_url, scripts)
    add(scripts, "0002", "0001", 'op.create_table("b", sa.Column("x", sa.Integer))')
    add(scripts, "0003", "0002", "1 // 0")
    with pytest.raises(ZeroDivisionError):
        migrate(database_url, scripts)
    assert table_names(database_url, open_database) == {"a"}
    check_schema(open_database(database_url), "0001")


def test_processes_that_migrate_at_once_all_succeed(database_url, scripts, open_database):
    program = (
        "import sys; from pathlib import Path;"
        "from services.kernel.db.migrations import migrate;"
        "print(migrate(sys.argv[1], Path(sys.argv[2])))"
    )
    command = [sys.executable, "-c", program, database_url, str(scripts)]

    def run(_: int) -> str:
        root = Path(__file__).parents[3]
        return subprocess.run(
            command, cwd=root, check=True, capture_output=True, text=True
        ).stdout.strip()

    with ThreadPoolExecutor(3) as pool:
        assert list(pool.map(run, range(3))) == ["0001"] * 3
    assert table_names(database_url, open_database) == {"a"}


def test_the_schema_check_is_one_select(database_url, scripts, open_database):
    migrate(database_url, scripts)
    db = open_database(database_url)
    with db.statements() as statements:
        check_schema(db, "0001")
    assert len(statements) == 1


def test_another_schema_is_refused(database_url, scripts, open_database):
    db = open_database(database_url)
    with pytest.raises(SchemaMismatchError, match="never migrated"):
        check_schema(db, "0001")
    migrate(database_url, scripts)
    with pytest.raises(SchemaMismatchError, match="at revision 0001, not 0002"):
        check_schema(db, "0002")


def test_the_check_does_not_import_alembic():
    program = "import sys; import services.kernel.db.migrations;sys.exit('alembic' in sys.modules)"
    root = Path(__file__).parents[3]
    assert subprocess.run([sys.executable, "-c", program], cwd=root, check=False).returncode == 0


def test_a_directory_without_migrations_is_refused(tmp_path):
    (tmp_path / "versions").mkdir()
    with pytest.raises(ValueError, match="no migrations"):
        newest_revision(tmp_path)


def test_a_database_that_is_started_later_is_waited_for(postgresql_url, scripts, tmp_path, caplog):
    parsed = make_url(postgresql_url)
    (socket,) = [value for name, value in parsed.query.items() if name == "host"]
    later = tmp_path / "socket"
    url = parsed.update_query_dict({"host": str(later)}).render_as_string(hide_password=False)
    with ThreadPoolExecutor(1) as pool:
        migrated = pool.submit(migrate, url, scripts)
        while not any("does not answer yet" in one.message for one in caplog.records):
            time.sleep(0.01)
        assert not migrated.done()
        later.symlink_to(str(socket))
        assert migrated.result() == "0001"
