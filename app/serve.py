"""The command that serves the dashboard: a list of arguments and an environment, nothing started.

Kept apart from Streamlit, whose import costs a second that other commands need not pay.
"""

import os
import sys
from pathlib import Path

LAKE_VARIABLE = "ORCHRISK_LAKE"
CONTRACTS_VARIABLE = "ORCHRISK_CONTRACTS"
DEFAULT_LAKE = "lake"

_WEB = Path(__file__).with_name("web.py")
_LOOPBACK = ("localhost", "127.0.0.1")


def command(
    lake: Path | str,
    contracts: Path | str | None = None,
    *,
    address: str = "127.0.0.1",
    port: int = 8501,
    hosts: tuple[str, ...] = (),
) -> tuple[list[str], dict[str, str]]:
    """Return the argument list and the settings (environment) that serve one lake's dashboard.

    Paths are made absolute, so that the server may run anywhere. `hosts` are names a browser may
    use beside the loopback ones and `address`; any other Host header is refused (DNS rebinding).
    """
    allowed = dict.fromkeys((*_LOOPBACK, *hosts, *([address] if address != "0.0.0.0" else [])))  # noqa: S104
    args = [
        sys.executable,
        "-m",
        "streamlit",
        "run",
        str(_WEB),
        f"--server.address={address}",
        f"--server.port={port}",
        *(f"--server.allowedHosts={host}" for host in allowed),
    ]
    settings = {
        LAKE_VARIABLE: str(Path(lake).absolute()),
        # Empty, not absent: a contract named in the caller's environment is not this lake's.
        CONTRACTS_VARIABLE: str(Path(contracts).absolute()) if contracts is not None else "",
    }
    return args, settings


def served_lake() -> Path:
    """Return the lake this process shows, from the environment or `lake` in the working folder."""
    return Path(os.environ.get(LAKE_VARIABLE, DEFAULT_LAKE)).absolute()


def served_contracts() -> Path | None:
    """Return the contract file this process judges by, or None where none was named."""
    named = os.environ.get(CONTRACTS_VARIABLE)
    return Path(named).absolute() if named else None
