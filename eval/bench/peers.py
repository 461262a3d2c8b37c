"""Which systems there are, in which configurations, and the environment each runs in."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
import venv
from functools import cache
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
OUT = HERE.parent / "out" / "bench"

OURS = "footnote"
PEERS = ("langchain", "llamaindex", "haystack", "txtai", "chroma")
PRECISIONS = ("float32", "int8", "half")
VARIANTS = ("quick", "tuned", "onnx")

MODES = {"haystack": ("dense", "hybrid"), "txtai": ("dense", "hybrid"), OURS: ("dense", "hybrid")}
"""Ways to search; dense alone where nothing is said."""

SHARED_INDEX = {OURS: "hybrid", "haystack": "dense"}
"""Systems whose one index serves both ways, and the way under which it is made."""

SHARED_ENVIRONMENT = {(name, "onnx"): "onnx" for name in ("langchain", "llamaindex", "haystack")}

OPTIMISED = "onnx"
"""The environment whose exporter writes the model for the variant of that name."""

QUIET = {
    # Nothing is fetched and nothing is reported while measuring, and all embed on the processor.
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "ANONYMIZED_TELEMETRY": "False",
    "HAYSTACK_TELEMETRY_ENABLED": "False",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "DO_NOT_TRACK": "1",
    "LANGSMITH_TRACING": "false",
    "LANGCHAIN_TRACING_V2": "false",
    "CUDA_VISIBLE_DEVICES": "",
    "PYTHONWARNINGS": "ignore",
}


class Config(NamedTuple):
    """A system in one way to search and one variant."""

    system: str
    mode: str
    variant: str

    @property
    def index(self) -> Config:
        """The configuration that makes the index this one searches."""
        return self._replace(mode=SHARED_INDEX.get(self.system, self.mode))

    @property
    def environment(self) -> str:
        """The name of the environment it runs in."""
        return SHARED_ENVIRONMENT.get((self.system, self.variant), self.system)


class Missing(Exception):
    """An environment is not there, or cannot be made."""


def configs(systems: list[str], variants: list[str], precisions: list[str]) -> list[Config]:
    """Return the configurations of some systems: ours by precision of the model, the others by how they are tuned."""
    return [
        Config(system, mode, variant)
        for system in systems
        for variant in (precisions if system == OURS else variants)
        for mode in MODES.get(system, ("dense",))
    ]


@cache
def precisions() -> list[str]:
    """Return the precisions that our settings allow, the one in force first."""
    sys.path.insert(0, str(ROOT))
    from rag.embed.model import Model
    from rag.settings import Settings

    chosen = Settings.load().model
    in_force = Model(chosen.name, precision=chosen.precision, cache=chosen.cache).precision
    return sorted(PRECISIONS, key=lambda name: name != in_force)


def imports(system: str) -> str:
    """Return the import lines of a system's quick start, read without importing its file."""
    tree = ast.parse((HERE / "systems" / f"{system}.py").read_text("utf-8"))
    for node in tree.body:
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "IMPORTS":
            return str(ast.literal_eval(node.value))
    raise ValueError(f"systems/{system}.py has no IMPORTS")


def python(environment: str, envs: Path | None) -> Path:
    """Return the interpreter of an environment: one in `envs`, or one of our own, made if it is not there."""
    if environment == OURS:
        return Path(sys.executable)
    names = (f"peer-{environment}", f"env-{environment}", environment)
    for folder in [*((envs / n for n in names) if envs else ()), OUT / f"env-{environment}"]:
        if (folder / "bin" / "python").exists() and (envs or (folder / ".done").exists()):
            return (folder / "bin" / "python").absolute()
    if envs:
        raise Missing(f"there is no environment peer-{environment} in {envs.absolute()}")
    return make(environment)


def make(environment: str) -> Path:
    """Make an environment of our own from its requirements, and return its interpreter."""
    folder = OUT / f"env-{environment}"
    print(f"making the environment {folder} (this takes some minutes)", flush=True)
    venv.create(folder, with_pip=True, clear=True)
    interpreter = (folder / "bin" / "python").absolute()
    command = [interpreter, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-c"]
    command += [ROOT / "constraints.txt", "-r", HERE / "requirements" / f"{environment}.txt"]
    # Named first, so that the constraint on torch decides and no dependency brings another.
    done = subprocess.run([*map(str, command), "torch"], capture_output=True, text=True, check=False)
    if done.returncode:
        raise Missing(f"environment {environment} cannot be made: {last_line(done.stderr)}")
    (folder / ".done").touch()
    return interpreter


def environ(system: str, config: Config | None = None) -> dict[str, str]:
    """Return the variables a system runs under.  Ours finds this working tree, the others nothing of ours."""
    kept = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    kept |= QUIET | {"LLAMA_INDEX_CACHE_DIR": str(OUT / "cache")}
    if system == OURS:
        kept["PYTHONPATH"] = str(ROOT)
        if config:
            kept["RAG_SEARCH__RETRIEVER"] = "fused" if config.mode == "hybrid" else config.mode
            kept["RAG_MODEL__PRECISION"] = config.variant
    return kept


def versions(interpreter: Path, names: list[str]) -> dict[str, str]:
    """Return the versions of those of some packages that an environment has."""
    code = (
        "import importlib.metadata as m, json, sys\nfound = {}\nfor n in sys.argv[1:]:\n"
        "    try: found[n] = m.version(n)\n    except m.PackageNotFoundError: pass\nprint(json.dumps(found))"
    )
    done = subprocess.run([str(interpreter), "-c", code, *names], capture_output=True, text=True, check=False)
    return dict(json.loads(done.stdout)) if done.returncode == 0 else {}


def last_line(text: str) -> str:
    """Return the last line that says something."""
    return next((line.strip()[:300] for line in reversed(text.splitlines()) if line.strip()), "no message")
