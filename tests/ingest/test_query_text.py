"""Tables and verbs out of query text, literals never."""

import string

import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ingest.cells import queries
from ingest.query_text import MAX_CHARACTERS, Statement, mask, mask_command, parse, parse_summary

CASES: list[tuple[str, str, str, str]] = [
    ("SELECT a FROM t", "SELECT", "t", ""),
    ('select * from s.t as x, u y join "V w" on x.a = y.b', "SELECT", "s.t u V_w", ""),
    ("SELECT * FROM `db`.`t` WHERE n = 'FROM fake'", "SELECT", "db.t", ""),
    ("SELECT TOP 5 * FROM [dbo].[T] WITH (NOLOCK)", "SELECT", "dbo.T", ""),
    ("SELECT a -- FROM fake\nFROM t /* , fake */", "SELECT", "t", ""),
    ("SELECT * FROM t /*traceparent='00-1'*/", "SELECT", "t", ""),
    ("SELECT $$ FROM fake $$, $x$ FROM b $x$ FROM t", "SELECT", "t", ""),
    ("SELECT 'it''s FROM fake' FROM t", "SELECT", "t", ""),
    (r"SELECT 'it\'s FROM fake' FROM t", "SELECT", "t", ""),
    ("SELECT * FROM (SELECT * FROM i) d, k", "SELECT", "i k", ""),
    ("SELECT * FROM (a JOIN b ON a.x = b.x)", "SELECT", "a b", ""),
    ("SELECT (SELECT max(x) FROM u) FROM t", "SELECT", "u t", ""),
    ("WITH c AS (SELECT * FROM z) SELECT * FROM c JOIN b USING (id)", "SELECT", "z b", ""),
    ("WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n FROM c) TABLE c", "TABLE", "", ""),
    ("CREATE TABLE t (a int REFERENCES u (a) ON DELETE CASCADE)", "CREATE", "", "t"),
    ("GRANT SELECT ON t TO u", "GRANT", "", "t"),
    ("WITH c AS (SELECT id FROM z) DELETE FROM t USING c WHERE t.id = c.id", "DELETE", "z", "t"),
    ("SELECT EXTRACT(year FROM d), TRIM(BOTH 'x' FROM n) FROM t", "SELECT", "t", ""),
    ("SELECT a IS DISTINCT FROM b FROM t", "SELECT", "t", ""),
    ("SELECT * FROM generate_series(1, 2) g, t", "SELECT", "t", ""),
    ("SELECT * FROM t LEFT JOIN LATERAL (SELECT * FROM u) x ON true", "SELECT", "t u", ""),
    ("SELECT * FROM t WHERE id IN (SELECT id FROM u) FOR UPDATE", "SELECT", "t u", ""),
    ("SELECT * INTO n FROM o", "SELECT", "o", "n"),
    ("SELECT a FROM t UNION SELECT b FROM u ORDER BY 1", "SELECT", "t u", ""),
    ("INSERT INTO t (a, b) VALUES (?, ?)", "INSERT", "", "t"),
    ("INSERT INTO t SELECT * FROM u", "INSERT", "u", "t"),
    ("INSERT t VALUES (1)", "INSERT", "", "t"),
    ("INSERT INTO t VALUES (1) ON CONFLICT (a) DO UPDATE SET a = 2", "INSERT", "", "t"),
    ("INSERT INTO t VALUES (1) ON DUPLICATE KEY UPDATE a = 2", "INSERT", "", "t"),
    ("REPLACE INTO t VALUES (%s, %(n)s, $1, :n, @n)", "REPLACE", "", "t"),
    ("UPDATE t SET a = 1", "UPDATE", "", "t"),
    ("UPDATE ONLY t SET a = u.b FROM u WHERE t.id = u.id", "UPDATE", "u", "t"),
    ("UPDATE x SET a = 1 FROM tab x", "UPDATE", "", "tab"),
    ("DELETE FROM t WHERE a = 1", "DELETE", "", "t"),
    ("DELETE FROM t USING u, v WHERE t.id = u.id", "DELETE", "u v", "t"),
    ("DELETE x FROM tab x JOIN u ON x.a = u.a", "DELETE", "u", "tab"),
    ("MERGE INTO t USING s ON t.a = s.a WHEN MATCHED THEN UPDATE SET a = 1", "MERGE", "s", "t"),
    ("COPY t (a, b) FROM STDIN", "COPY", "", "t"),
    ("COPY t TO 's3://x'", "COPY", "t", ""),
    ("COPY (SELECT * FROM t) TO STDOUT", "COPY", "t", ""),
    ("TRUNCATE TABLE a, b", "TRUNCATE", "", "a b"),
    ("DROP TABLE IF EXISTS a, b", "DROP", "", "a b"),
    ("CREATE TABLE IF NOT EXISTS s.t (a int)", "CREATE", "", "s.t"),
    ("CREATE INDEX i ON t (a)", "CREATE", "", "t"),
    ("CREATE VIEW v AS SELECT * FROM t", "CREATE", "t", "v"),
    ("ALTER TABLE t ADD COLUMN a int", "ALTER", "", "t"),
    ("BEGIN", "BEGIN", "", ""),
    ("SELECT 1; DELETE FROM t; COMMIT", "DELETE", "", "t"),
    ("EXEC dbo.proc 1", "EXEC", "", ""),
    ("", "", "", ""),
    ("GET ?", "GET", "", ""),
]


@pytest.mark.parametrize(("text", "verb", "reads", "writes"), CASES)
def test_a_statement_names_its_verb_and_tables(
    text: str, verb: str, reads: str, writes: str
) -> None:
    found = parse(text)
    names = [tuple(name.replace(" ", "_") for name in side) for side in (found.reads, found.writes)]
    assert (found.verb, *map(" ".join, names)) == (verb, reads, writes)


@pytest.mark.parametrize(("text", "verb", "reads", "writes"), CASES)
def test_masking_changes_no_table(text: str, verb: str, reads: str, writes: str) -> None:
    if "\\'" not in text:
        assert parse(mask(text)) == parse(text)


@pytest.mark.parametrize(
    ("summary", "statement"),
    [
        ("SELECT orders users", Statement("SELECT", ("orders", "users"))),
        ("INSERT t SELECT u", Statement("INSERT", ("u",), ("t",))),
        ("DROP TABLE t", Statement("DROP", (), ("t",))),
        ("", Statement()),
    ],
)
def test_a_summary_names_verb_and_targets(summary: str, statement: Statement) -> None:
    assert parse_summary(summary) == statement


TEXT = r"""
SELECT FROM JOIN WITH AS ( ) , ; ' " ` [ ] -- /* */ $$ $a$ \ ? %s :x @y INTO UPDATE USING DELETE
COPY TO TABLE VALUES IN = . 12 x ß
"""
PIECES = st.lists(
    st.one_of(st.sampled_from([*TEXT.split(), "\n", " "]), st.text(max_size=4)), max_size=30
)


@settings(max_examples=400, deadline=None)
@given(PIECES, st.sampled_from(["", " "]))
@example(["SELECT", "'"], "")
def test_no_text_raises_and_masking_twice_is_masking_once(pieces: list[str], glue: str) -> None:
    text = glue.join(pieces)
    parse(text)
    parse_summary(text)
    masked = mask(text)
    assert mask(masked) == masked
    assert len(masked) <= MAX_CHARACTERS


SECRETS = st.text(string.ascii_lowercase, min_size=6, max_size=12).map("zq".__add__)


@given(
    secret=SECRETS,
    quote=st.sampled_from(["'{}'", "E'{}'", "$${}$$", "$t${}$t$", "'{}''x'", "'a\\'{}'", "'{}"]),
    before=st.sampled_from(["SELECT * FROM t WHERE a = ", "INSERT INTO t VALUES (1, ", "CALL p("]),
)
def test_no_quoted_literal_survives(secret: str, quote: str, before: str) -> None:
    assert secret not in mask(before + quote.format(secret))


@given(secret=st.integers(1000, 10**12), after=st.sampled_from(["", ")", " AND b = 'x'", "-- y"]))
def test_no_number_survives(secret: int, after: str) -> None:
    assert str(secret) not in mask(f"SELECT * FROM t1 WHERE a = {secret}{after}")


@given(secret=SECRETS)
def test_values_in_double_quotes_comments_and_documents_do_not_survive(secret: str) -> None:
    for text in (
        f'SELECT * FROM t WHERE a = "{secret}"',
        f'INSERT INTO t VALUES (1, "{secret}")',
        f"SELECT 1 /* {secret} */ -- {secret}",
        f'{{"find": "t", "filter": {{"mail": "{secret}"}}}}',
        f'{{"find": "t", "filter": {{"mail": "{secret}"',
    ):
        assert secret not in mask(text)
    assert secret not in mask_command(f"SET user:1 {secret}")


def test_a_very_long_text_is_cut_before_it_is_looked_at() -> None:
    assert len(mask("SELECT " + "a, " * 1_000_000)) <= MAX_CHARACTERS


PIECES = st.sampled_from(
    [
        *("SELECT", "a1", "t_2", "1", "12.5", "1e9", ".5", "x.1", ":1", ":a1", "::int", "%s"),
        *(
            "(",
            ")",
            ",",
            "=",
            "<>",
            "-",
            "--",
            "/*",
            "*/",
            "'a 1'",
            "''",
            "'-- /*'",
            '"b 2"',
            "`c 3`",
            "[d 4]",
        ),
        *(
            "$1",
            "@p1",
            "?",
            "IN",
            "VALUES",
            "LIMIT",
            "é1",
            "1é",
            "#5",
            "0xff",
            "1a",
            "\n",
            "\\'",
            "{",
        ),
    ]
)


@example(["SELECT", "a", "-", "-", "1"], False)
@example(["SELECT", "%s", "12.5", "SELECT"], False)
@settings(max_examples=400, deadline=None)
@given(st.lists(PIECES, max_size=12).flatmap(lambda parts: st.permutations(parts)), st.booleans())
def test_a_column_is_masked_as_each_of_its_texts(parts: list[str], spaced: bool) -> None:
    text = (" " if spaced else "").join(parts)
    # Beside a query that is certain and beside one that is not, for a column of one kind is quick.
    texts = [text, None, "GET a 1", "SELECT \"a\" = 'x'", f"  {text}\n", ""]
    assert queries(pa.array(texts)).to_pylist() == [each and mask(each) for each in texts]
    assert queries(pa.array([text])).to_pylist() == [mask(text)]


def test_queries_with_their_values_written_in_become_one() -> None:
    texts = [f"SELECT a FROM t1 WHERE b = {n} AND c = 'it''s {n} -- x' LIMIT 10" for n in range(50)]
    masked = queries(pa.array(texts)).unique().to_pylist()
    assert masked == ["SELECT a FROM t1 WHERE b = ? AND c = ? LIMIT ?"]


def test_every_stage_of_a_pipeline_stays_once_and_no_value_does() -> None:
    stages = '[{"$match":{"x":1}},{"$match":{"x":2}},{"$out":"totals"}]'

    assert mask(stages) == '[{"$match":{"x":"?"}},{"$out":"?"}]'
    assert mask("[1,2,3]") == '["?"]'
