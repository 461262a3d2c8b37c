"""Does one job of one system, in that system's environment: `python worker.py NAME JOB.json OUT.json`.

A system's file may bear its library's name, so it is loaded by its path and its folder is never on sys.path.
"""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path

import protocol

WORK = {"index": protocol.index, "query": protocol.query, "embed": protocol.embed}


def system(name: str, job: protocol.Job) -> protocol.System:
    """Return the system of a name in the configuration that a job asks for."""
    path = Path(__file__).parent / "systems" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(f"bench_{name}", path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    # Some libraries look up the module of a class that is derived from theirs.
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    made: protocol.System = module.make(job)
    return made


def main() -> None:
    """Do the job, and leave its result in a file: libraries print what they like."""
    name, job_path, *out = sys.argv[1:]
    job = protocol.Job.read(job_path)
    made = system(name, job)
    if job.do == "cold":
        protocol.cold(made, job)
    else:
        Path(out[0]).write_text(json.dumps(WORK[job.do](made, job)), "utf-8")


if __name__ == "__main__":
    main()
