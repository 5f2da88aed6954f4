"""Compiles `source/*.vy` to `artifacts/*.json`: `python -m contracts_py.compile`.

An artifact holds the ABI, the creation and the runtime bytecode, and the SHA-256 of every source
file that went in. It depends on the sources and the compiler's version alone: no path, no time.
Needs vyper, which users of the contracts do not.
"""

import json
import sys
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).resolve().parent
SOURCES: Final = ROOT / "source"
ARTIFACTS: Final = ROOT / "artifacts"
CONTRACTS: Final = ("Anchor", "Bridge", "BuybackVault", "Pool", "Registry", "TestUSD", "Token")
EVM_VERSION: Final = "prague"
COMPILER: Final = "0.4.3"
RUNTIME_MAX: Final = 24_576
"""Bytes of code that a contract may have (EIP-170)."""
FORMATS: Final = ("abi", "bytecode", "bytecode_runtime")


def compile_contract(name: str, sources: Path = SOURCES) -> dict[str, Any]:
    """The artifact of one contract.

    Raises: RuntimeError for another compiler than ours or code above 24,576 bytes; what vyper
    raises for a source that does not compile.
    """
    import vyper
    from vyper.compiler import compile_from_file_input
    from vyper.compiler.input_bundle import FilesystemInputBundle
    from vyper.compiler.settings import OptimizationLevel, Settings

    if vyper.__version__ != COMPILER:
        raise RuntimeError(f"the compiler is vyper {vyper.__version__}, wanted {COMPILER}")
    bundle = FilesystemInputBundle([sources])
    settings = Settings(evm_version=EVM_VERSION, optimize=OptimizationLevel.GAS)
    with bundle.search_path(sources):
        found = compile_from_file_input(
            bundle.load_file(f"{name}.vy"),
            input_bundle=bundle,
            settings=settings,
            output_formats=list(FORMATS),
        )
    size = len(found["bytecode_runtime"]) // 2 - 1
    if size > RUNTIME_MAX:
        raise RuntimeError(f"{name} has {size} bytes of code, at most {RUNTIME_MAX}")
    return {
        "contract": name,
        "compiler": f"vyper {COMPILER}",
        "evm_version": EVM_VERSION,
        "sources": source_hashes(name, sources),
        "abi": found["abi"],
        "bytecode": found["bytecode"],
        "runtime_bytecode": found["bytecode_runtime"],
    }


def source_hashes(name: str, sources: Path = SOURCES) -> dict[str, str]:
    """SHA-256 of a contract's file and of the modules that it imports, by file name."""
    waiting, hashes = [f"{name}.vy"], dict[str, str]()
    while waiting:
        file = waiting.pop()
        raw = (sources / file).read_bytes()
        hashes[file] = sha256(raw).hexdigest()
        for line in raw.decode("utf-8").splitlines():
            words = line.split()
            if len(words) == 2 and words[0] == "import" and f"{words[1]}.vy" not in hashes:
                waiting.append(f"{words[1]}.vy")
    return dict(sorted(hashes.items()))


def artifact_text(artifact: dict[str, Any]) -> str:
    """An artifact as it is committed."""
    return json.dumps(artifact, indent=1, sort_keys=True) + "\n"


def main() -> int:
    """Write every artifact."""
    ARTIFACTS.mkdir(exist_ok=True)
    for name in CONTRACTS:
        artifact = compile_contract(name)
        (ARTIFACTS / f"{name}.json").write_text(artifact_text(artifact), encoding="utf-8")
        size = len(artifact["runtime_bytecode"]) // 2 - 1
        sys.stdout.write(f"{name}: {size} bytes of code\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
