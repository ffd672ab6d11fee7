"""Checks what readers of the registry's page and of the package get.

1. Every relative link of the Markdown files, anchors included, points to something that exists.
2. The package holds the licences, README, changelog, guide pages, and every file that the sources include; nothing
   but sources, texts and scripts.
3. Links of the README work on the registry's page too. The registry makes relative links absolute by `repository` of
   Cargo.toml, for the forges below; without it, it removes their targets. As long as `repository` is not set, this is
   a notice; with `--release` it is an error.
"""
import json
import os
import re
import subprocess
import sys
from pathlib import Path

FORGES = ("https://github.com/", "https://gitlab.com/", "https://bitbucket.org/", "https://codeberg.org/")
KINDS = {".rs", ".md", ".txt", ".toml", ".py", ".conf"}
OTHERS = {"LICENSE-APACHE", "LICENSE-MIT", "Cargo.lock", "Cargo.toml.orig", ".cargo_vcs_info.json"}
root = Path(__file__).resolve().parent.parent
os.chdir(root)


def prose(text):
    """Without code, where brackets are no links."""
    text = re.sub(r"^(\s*)(`{3,}|~{3,}).*?^\s*\2\s*$", "", text, flags=re.M | re.S)
    return re.sub(r"(`+)(?!`).+?(?<!`)\1(?!`)", lambda code: "`" + re.sub(r"[\[\]()]", "", code[0]) + "`", text)


def links(path):
    text = prose(path.read_text(encoding="utf-8"))
    yield from re.findall(r"\]\(\s*<?([^)\s>]+)", text)
    yield from re.findall(r"^\s{0,3}\[[^\]]+\]:\s*<?(\S+?)>?\s*$", text, flags=re.M)


def anchors(path):
    """As the forges make them of headings."""
    seen = {}
    text = re.sub(r"^(\s*)(`{3,}|~{3,}).*?^\s*\2\s*$", "", path.read_text(encoding="utf-8"), flags=re.M | re.S)
    for heading in re.findall(r"^#{1,6}\s+(.*?)\s*#*$", text, flags=re.M):
        heading = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading)
        name = re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        seen[name] = seen.get(name, -1) + 1
        yield name if seen[name] == 0 else f"{name}-{seen[name]}"


def is_relative(link):
    return not re.match(r"[a-z][a-z0-9+.-]*:", link) and not link.startswith("#")


problems, notices = [], []
pages = [
    path
    for path in sorted(Path(".").rglob("*.md"))
    # What builds and tools leave here.
    if not {"target", ".git", "node_modules"} & set(path.parts)
]
count = 0
for page in pages:
    for link in links(page):
        if not is_relative(link) and not link.startswith("#"):
            continue
        # An item of the crate, which rustdoc checks.
        if re.match(r"(crate|self|super)::|[A-Z]\w*$", link):
            continue
        count += 1
        name, _, anchor = link.partition("#")
        target = page.parent / name if name else page
        if not target.exists():
            problems.append(f"{page}: {link}: there is no such file")
        elif anchor and target.suffix == ".md" and anchor not in anchors(target):
            problems.append(f"{page}: {link}: there is no such heading")

manifest = json.loads(
    subprocess.run(
        ["cargo", "metadata", "--locked", "--no-deps", "--format-version", "1"], capture_output=True, text=True, check=True
    ).stdout
)["packages"][0]
repository = manifest["repository"] or ""
relative = [link for link in links(Path("README.md")) if is_relative(link)]
if relative and not repository.startswith(FORGES):
    text = (
        f"README.md has {len(relative)} relative links, and Cargo.toml's `repository` is "
        f"{repository or 'not set'}: the registry's page would show them without targets. "
        "Set it before publishing."
    )
    (problems if "--release" in sys.argv else notices).append(text)

package = set(
    subprocess.run(
        ["cargo", "package", "--locked", "--list", "--allow-dirty"], capture_output=True, text=True, check=True
    ).stdout.splitlines()
)
package = {name.replace("\\", "/") for name in package}
wanted = {"README.md", "CHANGELOG.md", "LICENSE-APACHE", "LICENSE-MIT", "Cargo.toml"}
wanted |= {str(path) for path in Path("docs").rglob("*") if path.is_file()}
for source in (path for top in ("src", "tests", "examples", "benches") for path in Path(top).rglob("*.rs")):
    if str(source) in package:
        for name in re.findall(r'include_(?:str|bytes)!\(\s*"([^"]+)"', source.read_text(encoding="utf-8")):
            wanted.add(os.path.relpath(source.parent / name))
problems += [f"the package lacks {name}" for name in sorted(wanted - package)]
problems += [
    f"the package should not hold {name}"
    for name in sorted(package)
    if Path(name).suffix not in KINDS and name not in OTHERS
]

print(f"{count} relative links in {len(pages)} pages, {len(package)} files in the package")
for notice in notices:
    print(f"!! {notice}")
if problems:
    sys.exit("\n".join(problems))
