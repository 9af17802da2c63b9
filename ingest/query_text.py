"""Query text: literals masked before it is stored, verb and tables read out of it.

A tokenizer, not a parser of one dialect: it never raises, whatever the text, and says nothing
rather than something wrong where it does not understand.
"""

import re
from dataclasses import dataclass, field

import orjson

MAX_CHARACTERS = 65_536
_MAX_ITEMS = 64  # of a list in a document; longer ones are data, not stages


@dataclass(frozen=True)
class Statement:
    """What a text does: its verb in upper case, tables read, tables written; empty if unknown.

    Several statements give the verb that changes most, and the tables of all. A SELECT that also
    creates its target (`SELECT ... INTO t`) keeps its verb and names the target in `writes`.
    """

    verb: str = ""
    reads: tuple[str, ...] = ()
    writes: tuple[str, ...] = ()


_TOKEN = re.compile(
    r"""
    (?P<comment> --[^\n]* | /\*.*?(?:\*/|\Z) )
  | (?P<literal> '(?:[^'\\]|''|\\.)*(?:'|\\?\Z) | \$(?P<tag>[A-Za-z_]*)\$.*?(?:\$(?P=tag)\$|\Z) )
  | (?P<quoted>  "(?:[^"\\]|""|\\.)*(?:"|\\?\Z) )
  | (?P<name>    `[^`]*`  | \[[A-Za-z_][\w\ .$-]*\] )
  | (?P<open>    `.*\Z )
  | (?P<holder>  \? | %\(\w+\)s | %s | \$\d+ | (?<!:):[A-Za-z_]\w* | @@?\w+ )
  | (?P<number>  \d[\w.]* )
  | (?P<word>    [^\W\d][\w$#]* )
  | (?P<space>   \s+ )
  | (?P<other>   :: | <> | != | <= | >= | . )
    """,
    re.VERBOSE | re.DOTALL,
)
_NAME_LIKE = re.compile(r"[^\W\d][\w $.-]{0,127}")

# After these a double-quoted text is a value (MySQL), elsewhere a name.
_BEFORE_VALUE = frozenset(
    {"=", "<", ">", "<>", "!=", "<=", ">=", ":", "+", "-", "|", "%"}
    | {"LIKE", "ILIKE", "RLIKE", "REGEXP", "BETWEEN", "THEN", "ELSE", "LIMIT", "DEFAULT", "AGAINST"}
)
_VALUE_LISTS = frozenset({"VALUES", "IN", "VALUE"})


def mask(text: str) -> str:
    """Return the text with comments removed and every literal replaced by `?`, 64 Ki at most."""
    cut = text[:MAX_CHARACTERS].strip()
    if cut[:1] in ("{", "["):
        return _mask_json(cut)
    # Where \' stands nobody knows whether the string goes on; everything up to the last quote goes.
    doubtful = cut.find("\\'")
    if doubtful >= 0:
        start = cut.find("'")
        cut = f"{cut[:start]}?{cut[cut.rfind(chr(39)) + 1 :]}"
    parts: list[str] = []
    before = ""
    lists: list[bool] = []
    for match in _TOKEN.finditer(cut):
        kind, piece = match.lastgroup or "other", match.group()
        if kind == "tag":
            kind = "literal"
        if kind == "comment":
            parts.append(" ")
            continue
        if kind == "space":
            parts.append(piece)
            continue
        if piece == "(":
            lists.append(before in _VALUE_LISTS or (before == "," and bool(lists) and lists[-1]))
        elif piece == ")" and lists:
            lists.pop()
        is_value = kind in ("literal", "number", "open") or (
            kind == "quoted"
            and (
                before in _BEFORE_VALUE
                or (bool(lists) and lists[-1])
                or not _NAME_LIKE.fullmatch(piece[1:-1])
            )
        )
        parts.append("?" if is_value else piece)
        before = "?" if is_value else piece.upper()
    masked = "".join(parts).strip()[:MAX_CHARACTERS]
    # A comment may have stood before a document.
    return _mask_json(masked) if masked[:1] in ("{", "[") else masked


def mask_command(text: str) -> str:
    """Return a key-value store's command with everything behind the first word masked."""
    word, _, rest = text.strip().partition(" ")
    return f"{word} ?"[:MAX_CHARACTERS] if rest.strip() else word[:MAX_CHARACTERS]


def _mask_json(text: str) -> str:
    try:
        document = orjson.loads(text)
        return orjson.dumps(_masked(document)).decode()[:MAX_CHARACTERS]
    except (orjson.JSONDecodeError, orjson.JSONEncodeError, RecursionError):
        return "?"


def _masked(value: object) -> object:
    if isinstance(value, dict):
        return {key: _masked(item) for key, item in value.items()}
    if isinstance(value, list):
        # One of each shape: a pipeline's last stage says whether it writes.
        shapes: list[object] = []
        for item in value[:_MAX_ITEMS]:
            shape = _masked(item)
            if shape not in shapes:
                shapes.append(shape)
        return shapes
    return "?"


_SKIPPED = frozenset({"ONLY", "LATERAL", "IF", "NOT", "EXISTS", "LOW_PRIORITY", "IGNORE", "QUICK"})
_FUNCTIONS_WITH_FROM = frozenset({"EXTRACT", "TRIM", "SUBSTRING", "OVERLAY", "POSITION"})
_ENDS_LIST = frozenset(
    {"WHERE", "GROUP", "ORDER", "HAVING", "LIMIT", "SET", "VALUES", "UNION", "EXCEPT", "INTERSECT"}
    | {"WINDOW", "RETURNING", "SELECT", "FOR", "FETCH", "OFFSET", "QUALIFY", "WHEN", "OUTPUT"}
)
_NO_ALIAS = _ENDS_LIST | frozenset(
    {"JOIN", "LEFT", "RIGHT", "INNER", "OUTER", "FULL", "CROSS", "NATURAL", "ON", "USING", "AS"}
    | {"INTO", "FROM", "STRAIGHT_JOIN", "TABLESAMPLE", "WITH", "DEFAULT", "ADD", "DROP", "ALTER"}
    | {"RENAME", "TO", "CASCADE", "MODIFY", "PARTITION", "FORCE", "USE", "IGNORE", "MATCHED"}
)
_NAMES_AFTER_ON = frozenset({"INDEX", "TRIGGER", "GRANT", "REVOKE", "POLICY"})
_OBJECTS = frozenset({"TABLE", "VIEW", "INDEX", "DATABASE", "SCHEMA", "SEQUENCE", "TRIGGER"})
_RANK = {
    "SELECT": 2,
    "SHOW": 2,
    "DESCRIBE": 2,
    "EXPLAIN": 2,
    "VALUES": 2,
    "COPY": 3,
    "CALL": 3,
    "EXEC": 3,
    "EXECUTE": 3,
    "DO": 3,
    "INSERT": 4,
    "UPDATE": 4,
    "MERGE": 4,
    "REPLACE": 4,
    "UPSERT": 4,
    "LOAD": 4,
    "DELETE": 5,
    "TRUNCATE": 5,
    "CREATE": 6,
    "ALTER": 6,
    "DROP": 6,
    "GRANT": 6,
    "REVOKE": 6,
    "RENAME": 6,
}


@dataclass
class _Frame:
    """One pair of parentheses: what it belongs to and which clause is open in it."""

    owner: str = ""
    lists: str = ""  # what a comma at this level announces: reads, writes or nothing
    expects: str = ""  # reads, writes or nothing


@dataclass
class _Found:
    verb: str = ""
    reads: list[str] = field(default_factory=list)
    writes: list[str] = field(default_factory=list)
    local: set[str] = field(default_factory=set)  # common table expressions
    aliases: dict[str, str] = field(default_factory=dict)


def parse(text: str) -> Statement:
    """Return verb and tables of a query; never raises."""
    statements: list[list[tuple[str, str]]] = [[]]
    for match in _TOKEN.finditer(text[:MAX_CHARACTERS]):
        kind, piece = match.lastgroup or "other", match.group()
        if kind in ("comment", "space"):
            continue
        if piece == ";":
            statements.append([])
            continue
        if kind == "quoted":
            kind, piece = "name", piece.strip('"').replace('""', '"')
        elif kind == "name":
            piece = piece.strip("`[]")
        statements[-1].append(("literal" if kind == "tag" else kind, piece))
    found = [_scan(tokens) for tokens in statements if tokens]
    if not found:
        return Statement()
    verb = max(found, key=lambda each: _RANK.get(each.verb, 1)).verb
    reads = dict.fromkeys(name for each in found for name in each.reads)
    writes = dict.fromkeys(name for each in found for name in each.writes)
    return Statement(verb, tuple(reads), tuple(writes))


def parse_summary(text: str) -> Statement:
    """Return verb and tables of a `db.query.summary`: verbs, each followed by its targets."""
    reads: list[str] = []
    writes: list[str] = []
    verb, into = "", None
    for part in text.split():
        upper = part.upper()
        if upper in _RANK or upper in ("WITH", "BATCH", "PIPELINE", "MULTI"):
            if upper in _RANK:
                verb = upper if _RANK[upper] > _RANK.get(verb, 0) else verb
                into = reads if _RANK[upper] <= 2 else writes
        elif upper not in _OBJECTS and into is not None:
            into.append(part.strip('"`'))
    return Statement(verb, tuple(dict.fromkeys(reads)), tuple(dict.fromkeys(writes)))


def _scan(tokens: list[tuple[str, str]]) -> _Found:
    found = _Found()
    at = _common_tables(tokens, found)
    found.verb = next((text.upper() for kind, text in tokens[at:] if kind == "word"), "")
    frames = [_Frame()]
    at, before = 0, ""
    while at < len(tokens):
        kind, text = tokens[at]
        upper = text.upper() if kind == "word" else ""
        frame = frames[-1]
        if text == "(" and kind == "other":
            inner = _Frame(owner=before)
            following = tokens[at + 1][1].upper() if at + 1 < len(tokens) else ""
            if frame.expects and following not in ("SELECT", "WITH", "VALUES"):
                inner.expects, inner.lists = frame.expects, frame.lists
            frame.expects = ""
            frames.append(inner)
        elif text == ")" and kind == "other":
            if len(frames) > 1:
                frames.pop()
        elif text == "," and kind == "other":
            frame.expects = frame.lists
        elif frame.expects and kind in ("word", "name") and upper not in _NO_ALIAS:
            if upper not in _SKIPPED and upper not in _OBJECTS:
                at = _take_table(tokens, at, frame, found)
                before = ""
                continue
        else:
            _keyword(upper, before, frame, found, tokens, at)
        before = upper or text
        at += 1
    for name in (found.reads, found.writes):
        name[:] = [found.aliases.get(each.lower(), each) for each in name]
    found.reads = [name for name in found.reads if name.lower() not in found.local]
    written = {name.lower() for name in found.writes}
    if found.verb in ("DELETE", "UPDATE"):
        found.reads = [name for name in found.reads if name.lower() not in written]
    return found


def _keyword(
    upper: str,
    before: str,
    frame: _Frame,
    found: _Found,
    tokens: list[tuple[str, str]],
    at: int,
) -> None:
    match upper:
        case "FROM" if frame.owner not in _FUNCTIONS_WITH_FROM and before != "DISTINCT":
            is_target = before == "DELETE" or (found.verb == "COPY" and len(found.writes) > 0)
            frame.expects = "writes" if is_target else "reads"
            frame.lists = "" if is_target else "reads"
            if found.verb == "COPY" and frame.owner == "":
                frame.expects, frame.lists = "", ""
        case "JOIN" | "STRAIGHT_JOIN":
            frame.expects, frame.lists = "reads", "reads"
        case "USING" if found.verb in ("DELETE", "MERGE"):
            frame.expects = "reads"
            frame.lists = "reads" if found.verb == "DELETE" else ""
        case "INTO":
            if not (found.verb == "SELECT" and before in ("OUTFILE", "DUMPFILE")):
                frame.expects, frame.lists = "writes", ""
        case "UPDATE" if before in ("", "(", "EXPLAIN", "ANALYZE") or at == 0:
            frame.expects, frame.lists = "writes", ""
        case "TABLE" | "VIEW" if found.verb == "TABLE":
            frame.expects = "reads"
        case "TABLE" | "VIEW":
            frame.expects = "writes"
            frame.lists = "writes" if found.verb in ("DROP", "TRUNCATE", "LOCK") else ""
        case "TRUNCATE" | "MERGE" | "REPLACE" | "INSERT" | "UPSERT" if at == 0:
            frame.expects = "writes"
            frame.lists = "writes" if upper == "TRUNCATE" else ""
        case "DELETE" if at + 1 < len(tokens) and tokens[at + 1][1].upper() != "FROM":
            if before in ("", "(", ")"):
                frame.expects, frame.lists = "writes", ""
        case "COPY" if at == 0:
            is_out = any(text.upper() in ("TO", "FROM") for _, text in tokens)
            direction = next(
                (text.upper() for _, text in tokens if text.upper() in ("TO", "FROM")), ""
            )
            if is_out:
                frame.expects = "reads" if direction == "TO" else "writes"
        case "ON" if any(text.upper() in _NAMES_AFTER_ON for _, text in tokens[:4]):
            frame.expects, frame.lists = "writes", ""
        case _ if upper in _ENDS_LIST:
            frame.expects, frame.lists = "", ""
        case _:
            pass


def _take_table(tokens: list[tuple[str, str]], at: int, frame: _Frame, found: _Found) -> int:
    parts = [tokens[at][1]]
    at += 1
    while at + 1 < len(tokens) and tokens[at][1] == "." and tokens[at + 1][0] in ("word", "name"):
        parts.append(tokens[at + 1][1])
        at += 2
    name = ".".join(parts)
    target, frame.expects = frame.expects, ""
    is_call = at < len(tokens) and tokens[at] == ("other", "(")
    if is_call and target == "reads":
        # A function that returns rows, not a table.
        frame.lists = "reads"
        return at
    (found.reads if target == "reads" else found.writes).append(name)
    follow = at + 1 if at < len(tokens) and tokens[at][1].upper() == "AS" else at
    if follow < len(tokens) and tokens[follow][0] in ("word", "name"):
        alias = tokens[follow][1]
        if alias.upper() not in _NO_ALIAS and target == "reads":
            found.aliases[alias.lower()] = name
            return follow + 1
    return at


def _common_tables(tokens: list[tuple[str, str]], found: _Found) -> int:
    """Note the names behind WITH; return where the statement itself starts."""
    if not tokens or tokens[0][1].upper() != "WITH":
        return 0
    depth = 0
    at = 1
    expects_name = True
    while at < len(tokens):
        kind, text = tokens[at]
        if kind == "other" and text == "(":
            depth += 1
        elif kind == "other" and text == ")":
            depth -= 1
        elif depth == 0:
            if text == ",":
                expects_name = True
            elif expects_name and kind in ("word", "name") and text.upper() != "RECURSIVE":
                found.local.add(text.lower())
                expects_name = False
            elif kind == "word" and (text.upper() in _RANK or text.upper() == "TABLE"):
                return at
        at += 1
    return 0
