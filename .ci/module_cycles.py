#!/usr/bin/env python3
"""Fail if source files of a crate or of the Django package depend on each other in a cycle.

A file depends on the files that define the names it uses:

- Rust: names in `use`, and paths in the code that begin with `crate`, `self`, `super`, a child
  module or an imported module. A re-export (`pub use`) leads to the file that defines the name; it
  is a dependency of the re-exporting file only if that file uses the name itself.
- Python: imports of other modules of the package.

Comments, strings and unit tests of Rust are ignored. Prints one cycle of each crate, with the names
that cause it. Run it in any folder; it checks the repository that contains it.
"""

from __future__ import annotations

import ast
import re
import sys
from graphlib import CycleError, TopologicalSorter
from itertools import pairwise
from pathlib import Path

Module = tuple[str, ...]
"""The path of a module within its crate or package. The root is empty."""

CodePath = list[str]
"""A path in code, split: `["crate", "store", "Site"]`."""

Dependencies = dict[Module, dict[Module, set[str]]]
"""For each module, the modules it depends on, with the names it uses of them."""

IGNORED = re.compile(
    r"""//[^\n]*|/\*.*?\*/|\bb?r(\#*)".*?"\1|"(?:\\.|[^"\\])*"|'(?:\\.[^']*|[^'\\\n])'""", re.DOTALL
)
VISIBILITY = r"pub(?:\([^)]*\))?\s+"
UNIT_TESTS = re.compile(
    rf"#\[cfg\(test\)\]\s*(?:{VISIBILITY})?(?:mod \w+\s*\{{.*\Z|(?:mod|use) [^;]+;)", re.DOTALL
)
CHILD = re.compile(rf"^\s*(?:{VISIBILITY})?mod (\w+);", re.MULTILINE)
USE = re.compile(rf"^\s*({VISIBILITY})?use ([^;]+);", re.MULTILINE)
PATH = re.compile(r"(?<![\w:])(?:\w+::)+\w+")


def expand_use(tree: str) -> list[tuple[CodePath, str]]:
    """Expand the tree of a `use` into its paths, each with the name that it introduces.

    `store::{self, site::Site as Row}` gives `store` as `store`, and `store::site::Site` as `Row`.
    """
    start = tree.find("{")
    if start < 0:
        path, _, alias = tree.partition(" as ")
        names = [name.strip() for name in path.split("::")]
        if names[-1] == "self" and len(names) > 1:
            names.pop()
        return [(names, alias.strip() or names[-1])]
    prefix = tree[:start]
    branches, depth = [""], 0
    for character in tree[start + 1 : tree.rindex("}")]:
        depth += {"{": 1, "}": -1}.get(character, 0)
        if character == "," and depth == 0:
            branches.append("")
        else:
            branches[-1] += character
    found = []
    for branch in branches:
        if branch.strip():
            found += expand_use(prefix + branch.strip())
    return found


class Crate:
    """The modules of a crate, each in a file of its own."""

    def __init__(self, root: Path) -> None:
        self.code: dict[Module, str] = {}
        """The code of each module, without its `use` items."""
        self.imports: dict[Module, dict[str, CodePath]] = {}
        """The paths that `use` imports, by the name that it introduces."""
        self.exports: dict[Module, dict[str, CodePath]] = {}
        """The same for `pub use`."""
        self._load((), root, root.parent)

    def _load(self, module: Module, file: Path, children: Path) -> None:
        code = IGNORED.sub(" ", file.read_text())
        code = UNIT_TESTS.sub("", code)
        self.imports[module], self.exports[module] = {}, {}
        for is_public, tree in USE.findall(code):
            target = self.exports if is_public else self.imports
            target[module].update((name, path) for path, name in expand_use(tree))
        self.code[module] = USE.sub("", code)
        for name in CHILD.findall(code):
            child = children / f"{name}.rs"
            if child.exists():
                self._load((*module, name), child, children / name)

    def resolve(self, module: Module, path: CodePath) -> Module | None:
        """Return the module that defines the item at `path`, as written in a module.

        Return `None` if another crate defines it.
        """
        first, *rest = path
        if first == "crate":
            found: Module = ()
        elif first == "self":
            found = module
        elif first == "super":
            found = module[:-1]
        elif (*module, first) in self.code:
            found = (*module, first)
        elif rest and self.imports[module].get(first, [first])[0] != first:
            return self.resolve(module, self.imports[module][first] + rest)
        else:
            return None
        while rest and rest[0] == "super":
            found, rest = found[:-1], rest[1:]
        while rest and (*found, rest[0]) in self.code:
            found, rest = (*found, rest[0]), rest[1:]
        if rest and rest[0] in self.exports[found]:
            return self.resolve(found, self.exports[found][rest[0]] + rest[1:])
        return found

    def dependencies(self) -> Dependencies:
        """Return the dependencies of all modules."""
        return {module: self._dependencies_of(module) for module in self.code}

    def _dependencies_of(self, module: Module) -> dict[Module, set[str]]:
        code = self.code[module]
        exports = self.exports[module]
        used = [*self.imports[module].values()]
        used += [exports[name] for name in exports if re.search(rf"\b{name}\b", code)]
        # An imported module is no dependency, but what the code uses of it is.
        paths = [path for path in used if not self._is_module(module, path)]
        paths += [path.split("::") for path in PATH.findall(code)]
        found: dict[Module, set[str]] = {}
        for path in paths:
            target = self.resolve(module, path)
            if target is not None and target != module:
                found.setdefault(target, set()).add(path[-1])
        return found

    def _is_module(self, module: Module, path: CodePath) -> bool:
        target = self.resolve(module, path)
        return target is not None and target[-1:] == (path[-1],)


def package_dependencies(folder: Path) -> Dependencies:
    """Return the dependencies of the modules of a Python package."""
    files = {file.relative_to(folder).with_suffix("").parts: file for file in folder.rglob("*.py")}
    found: Dependencies = {module: {} for module in files}

    def add(module: Module, path: str, name: str) -> None:
        first, *rest = path.split(".")
        if first != folder.name:
            return
        for target in ((*rest, name), (*rest, "__init__"), tuple(rest)):
            if target in files and target != module:
                found[module].setdefault(target, set()).add(name)
                return

    for module, file in files.items():
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.ImportFrom) and node.module:
                for alias in node.names:
                    add(module, node.module, alias.name)
            elif isinstance(node, ast.Import):
                for alias in node.names:
                    package, _, name = alias.name.rpartition(".")
                    add(module, package, name)
    return found


def find_cycle(dependencies: Dependencies) -> list[Module] | None:
    """Return the modules of a cycle, of which each depends on the next, or `None`."""
    graph = {module: sorted(targets) for module, targets in sorted(dependencies.items())}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        # In graphlib's list, each module is a dependency of the next.
        cycle: list[Module] = error.args[1]
        return cycle[::-1]
    return None


def main() -> int:
    """Check all crates and the Django package. Return the exit code."""
    repository = Path(__file__).resolve().parent.parent
    graphs: dict[str, Dependencies] = {}
    for manifest in sorted(repository.glob("*/*/Cargo.toml")):
        for name in ("lib.rs", "main.rs"):
            root = manifest.parent / "src" / name
            if root.exists():
                graphs[str(root.relative_to(repository))] = Crate(root).dependencies()
    package = repository / "clients/django/src/tetralto_visits"
    graphs[str(package.relative_to(repository))] = package_dependencies(package)

    exit_code = 0
    for place, dependencies in graphs.items():
        cycle = find_cycle(dependencies)
        if cycle is None:
            continue
        exit_code = 1
        print(f"{place}: modules depend on each other in a cycle:")
        for module, target in pairwise(cycle):
            names = ", ".join(sorted(dependencies[module][target]))
            print(f"  {'::'.join(module) or 'root'} uses {names} of {'::'.join(target) or 'root'}")
    return exit_code


if __name__ == "__main__":
    sys.exit(main())
