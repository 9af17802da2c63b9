"""What serving promises: this machine only, from any working folder."""

import tomllib
from pathlib import Path

from app import serve


def config():
    return tomllib.loads((Path(serve.__file__).parent / ".streamlit" / "config.toml").read_text())


def test_the_server_listens_on_this_machine_alone_unless_told():
    args, _ = serve.command("lake")

    assert "--server.address=127.0.0.1" in args
    assert [arg for arg in args if "allowedHosts" in arg] == [
        "--server.allowedHosts=localhost",
        "--server.allowedHosts=127.0.0.1",
    ]


def test_a_named_address_may_be_used_by_a_browser():
    args, _ = serve.command("lake", address="10.0.0.7", hosts=("risk.example",))

    assert "--server.allowedHosts=10.0.0.7" in args
    assert "--server.allowedHosts=risk.example" in args


def test_paths_do_not_depend_on_the_working_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    args, settings = serve.command("lake", "contracts.yaml")

    assert settings == {
        "ORCHRISK_LAKE": str(tmp_path / "lake"),
        "ORCHRISK_CONTRACTS": str(tmp_path / "contracts.yaml"),
    }
    assert Path(args[4]).is_absolute()


def test_no_contract_means_none_even_where_the_caller_has_one(monkeypatch):
    monkeypatch.setenv("ORCHRISK_CONTRACTS", "/elsewhere.yaml")
    _, settings = serve.command("lake")
    monkeypatch.setenv("ORCHRISK_CONTRACTS", settings["ORCHRISK_CONTRACTS"])

    assert serve.served_contracts() is None


def test_the_configuration_sends_nothing_and_tells_no_secrets():
    read = config()

    assert read["server"]["address"] == "127.0.0.1"
    assert read["server"]["allowedHosts"] == ["localhost", "127.0.0.1"]
    assert read["browser"]["gatherUsageStats"] is False
    assert read["client"]["showErrorDetails"] in ("type", "none")
    assert read["client"]["disableDataExport"] is True
