"""Reads `cargo metadata` and fails where a dependency that users compile needs a newer Rust than we state."""
import json
import sys

meta = json.load(sys.stdin)
packages = {p["id"]: p for p in meta["packages"]}
nodes = {n["id"]: n for n in meta["resolve"]["nodes"]}
root = meta["resolve"]["root"]


def version(text):
    return tuple(int(part) for part in (text + ".0.0").split(".")[:3])


stated = packages[root]["rust_version"]
todo, seen = [root], set()
while todo:
    node = todo.pop()
    if node in seen:
        continue
    seen.add(node)
    for dep in nodes[node]["deps"]:
        if any(kind["kind"] != "dev" for kind in dep["dep_kinds"]):
            todo.append(dep["pkg"])

bad = [
    f"{p['name']} {p['version']} needs Rust {p['rust_version']}"
    for p in (packages[i] for i in seen)
    if p["rust_version"] and version(p["rust_version"]) > version(stated)
]
print(f"{len(seen)} packages, stated minimum {stated}")
if bad:
    sys.exit("\n".join(bad))
