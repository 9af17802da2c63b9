"""Drawn contracts that the reader takes, as text."""

import json

from hypothesis import strategies as st

# Names of traces, globs, and what comes close to markup or an address.
_WORDS = st.text("ab*?[]{}/:.-_#'\" éA1", min_size=1, max_size=9).map(str.strip).filter(bool)
_HOSTS = st.sampled_from(["score", "Score", "10.0.0.7", "::1", "a:80", "c*", "crm.shop"])
_PATHS = st.sampled_from(["", "/", "/*", "/v1/{id}", "/v1/*", "/a?", "/[ab]/x", "/é", "/v1/{id}/*"])
_CALLERS = st.sampled_from(["agent:a", "*", "agent:*", "service:planner"]) | _WORDS
_CALLEES = (
    st.builds("{}:{}{}".format, st.sampled_from(["http", "service"]), _HOSTS, _PATHS)
    | st.sampled_from(["tool:x", "model:*", "kafka:a", "rpc:score/Get"])
    | _WORDS
)
_MATCHES = st.builds("{} -> {}".format, _CALLERS, _CALLEES).filter(
    lambda text: text.count("->") == 1 and "→" not in text
)
DURATIONS = st.sampled_from(["1ms", "0.001ms", "200ms", "1.5s", "2min", "999999999min"])
RATIOS = st.sampled_from(["0%", "0.5%", "30%", "95%", "99.95%", "100%"])
_RULES = st.fixed_dictionaries(
    {"match": _MATCHES},
    optional={
        "budget": DURATIONS,
        "on_path": DURATIONS,
        "quantile": st.sampled_from(["p50", "p95", "p99.9"]),
        "timeout": DURATIONS,
        "idempotent": st.booleans(),
        "retries": st.sampled_from([0, 1, 9999]),
        "fallback": _WORDS.map(lambda text: f"{text} x"),
    },
)
_GRANTS = st.builds("{}: {}".format, _WORDS, st.sampled_from(["read", "read, write", "admin"]))
_ACCESS = st.fixed_dictionaries(
    {"agent": _WORDS.map(lambda text: f"agent:{text}")},
    optional={
        "allow": st.lists(_GRANTS, max_size=3),
        "sensitive": st.lists(_WORDS.map(lambda text: f"x{text}"), max_size=2),
    },
)
_FILES = st.fixed_dictionaries(
    {"boundaries": st.lists(_RULES, max_size=6)},
    optional={
        "service": _WORDS.map(lambda text: f"s{text}"),
        "sla": st.dictionaries(st.sampled_from(["p50", "p95", "p99.9"]), DURATIONS),
        "downstream_share": RATIOS,
        "aliases": st.dictionaries(
            st.sampled_from(["10.0.0.7", "::1", "a:80", "score"]),
            st.sampled_from(["score", "crm", "Crm"]),
        ),
        "access": st.lists(_ACCESS, max_size=3),
        "gates": st.dictionaries(st.sampled_from(["downstream", "escape"]), RATIOS),
    },
)


def texts() -> st.SearchStrategy[str]:
    """Draw the text of a contract, whatever it promises."""
    return _FILES.map(lambda content: json.dumps(content, ensure_ascii=False))
