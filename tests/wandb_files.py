"""W&B offline, and what it wrote, read back out of the file that W&B itself would upload."""

import json
import struct
from pathlib import Path
from typing import Any

import pytest


def without_account(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """No key and no settings of whoever runs the tests; skips where W&B is not installed.

    W&B reads the environment once in a process: what another test left of it is forgotten first.
    """
    pytest.importorskip("wandb").teardown()
    for name in ("WANDB_API_KEY", "WANDB_MODE", "WANDB_BASE_URL", "WANDB_RUN_ID", "WANDB_PROJECT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NETRC", str(folder / "no-netrc"))
    monkeypatch.setenv("WANDB_CONFIG_DIR", str(folder / "no-settings"))
    monkeypatch.setattr("builtins.input", lambda *_: pytest.fail("W&B prompted"))


def close(logger: Any) -> None:
    """Finish the run; the last bytes reach its file only when W&B's service has ended."""
    import wandb

    logger.experiment.finish()
    wandb.teardown()


def wandb_records(run_dir: Path) -> list[Any]:
    """Records of all .wandb files of a run: LevelDB's log format (blocks of 32 KiB) after a header of 7 bytes."""
    from wandb.proto.wandb_internal_pb2 import Record

    records, parts = [], b""
    for path in sorted((run_dir / "wandb").glob("offline-run-*/run-*.wandb")):
        data = path.read_bytes()
        assert data[:4] == b":W&B"
        at = 7
        while at + 7 <= len(data):
            if 32768 - at % 32768 < 7:  # no room for a header: padding
                at += 32768 - at % 32768
                continue
            length, kind = struct.unpack_from("<HB", data, at + 4)
            parts += data[at + 7 : at + 7 + length]
            at += 7 + length
            if kind in (1, 4):  # whole, or last part
                records.append(Record.FromString(parts))
                parts = b""
    return records


def history(records: list[Any]) -> list[dict[str, Any]]:
    def name(item: Any) -> str:
        return item.key or "/".join(item.nested_key)

    rows = [record.history for record in records if record.WhichOneof("record_type") == "history"]
    return [{name(item): json.loads(item.value_json) for item in row.item} for row in rows]


def ids(records: list[Any]) -> set[str]:
    """Of the runs that the files are of."""
    return {record.run.run_id for record in records if record.WhichOneof("record_type") == "run"}
