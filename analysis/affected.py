"""The traces that what looks across traces must be made again for, after others have changed.

They share something with one that was made again, now or before it was: a conversation, a person, a
link, a span's id that one names as its parent, or a process whose call was cut off from its caller.
"""

import duckdb

from analysis import loading

# the traces that share a conversation, a person, a link or a span's id with those of `frontier`
_MET = """
    WITH

    named AS (
        SELECT DISTINCT
            kind,
            key
        FROM model.keys
        SEMI JOIN frontier
            ON frontier.trace_no = keys.trace_no
    ),

    spans AS (
        SELECT (hash('span', cohort, span_id) >> 1)::BIGINT  AS key
        FROM model.nodes
        SEMI JOIN frontier
            ON frontier.trace_no = nodes.trace_no
    )

    SELECT keys.trace_no
    FROM model.keys
    SEMI JOIN (SELECT key FROM named UNION FROM spans) AS shared
        ON shared.key = keys.key
    UNION
    SELECT nodes.trace_no
    FROM model.nodes
    SEMI JOIN (SELECT key FROM named WHERE kind = 'span') AS parents
        ON parents.key = (hash('span', nodes.cohort, nodes.span_id) >> 1)::BIGINT
    UNION
    SELECT ties.tied_no
    FROM model.ties
    SEMI JOIN frontier
        ON frontier.trace_no = ties.trace_no
    UNION
    SELECT ties.trace_no
    FROM model.ties
    SEMI JOIN frontier
        ON frontier.trace_no = ties.tied_no
    UNION
    SELECT unnest([hosts.trace_no, hosts.joined_trace_no])
    FROM model.hosts
    WHERE hosts.trace_no IN (SELECT trace_no FROM frontier)
        OR hosts.joined_trace_no IN (SELECT trace_no FROM frontier)
"""


def begin(connection: duckdb.DuckDBPyConnection) -> None:
    """Begin with none affected, and remember which calls had which hosts."""
    connection.execute("CREATE OR REPLACE TEMP TABLE affected (trace_no BIGINT)")
    connection.execute("CREATE OR REPLACE TEMP TABLE hosts_before AS FROM model.hosts")


def widen(connection: duckdb.DuckDBPyConnection) -> None:
    """Count as affected what is made, and whom it shared something with while it was as it was."""
    connection.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE frontier AS FROM made;
        INSERT INTO affected
        FROM made
        UNION
        FROM ({_MET})
        """
    )


def host(connection: duckdb.DuckDBPyConnection) -> None:
    """Make `hosts` again, and count as affected who has another host than before."""
    connection.execute("USE model")
    loading.run_hosts(connection)
    connection.execute(
        """
        INSERT INTO affected
        SELECT unnest([trace_no, joined_trace_no])
        FROM (
            (FROM hosts_before EXCEPT FROM model.hosts)
            UNION ALL
            (FROM model.hosts EXCEPT FROM hosts_before)
        )
        """
    )


def close(connection: duckdb.DuckDBPyConnection, most_ratio: float) -> bool:
    """Count in all that share something with them; False where that is too much."""
    connection.execute(
        """
        CREATE OR REPLACE TEMP TABLE frontier AS SELECT DISTINCT trace_no FROM affected;
        CREATE OR REPLACE TEMP TABLE affected AS FROM frontier
        """
    )
    most = most_ratio * _count(connection, "SELECT count(DISTINCT trace_no) FROM model.root_marks")
    while _count(connection, "SELECT count(*) FROM frontier"):
        if _count(connection, "SELECT count(*) FROM affected") > most:
            return False
        connection.execute(
            f"""
            CREATE OR REPLACE TEMP TABLE frontier AS
            FROM ({_MET}) AS met
            ANTI JOIN affected
                ON affected.trace_no = met.trace_no;
            INSERT INTO affected FROM frontier
            """
        )
    return True


def look_across(connection: duckdb.DuckDBPyConnection) -> None:
    """Make what looks across traces again for the affected, which share nothing with others."""
    connection.execute("USE memory")
    made = loading.made_across()
    seen = [table for table in loading.kept(connection) if table not in made]
    for table in seen:
        connection.execute(
            f"""
            CREATE TEMP VIEW {table} AS
            FROM model.{table}
            WHERE trace_no IN (SELECT trace_no FROM affected)
            """
        )
    loading.run_across(connection)
    for table in seen:
        connection.execute(f"DROP VIEW temp.{table}")
    for table in sorted(made):
        connection.execute(
            f"""
            DELETE FROM model.{table}
            WHERE trace_no IN (SELECT trace_no FROM affected);
            INSERT INTO model.{table} BY NAME
            FROM memory.{table};
            DROP TABLE memory.{table}
            """
        )


def _count(connection: duckdb.DuckDBPyConnection, query: str) -> int:
    ((count,),) = connection.execute(query).fetchall()
    return int(count)
