"""The rules of deny.toml as cargo-deny has them, but for advisories: pure functions of Cargo.lock and of cargo's metadata."""

import re
import tomllib

# What is held here. A rule of another name or value would be held by cargo-deny alone, so it is refused.
FIXED = {
    "graph": {"all-features": True},
    "licenses": {"unused-allowed-license": "allow"},
    "sources": {"unknown-registry": "deny", "unknown-git": "deny"},
    "bans": {"multiple-versions": "allow"},
    "advisories": {},
}
LISTS = {"licenses": "allow", "bans": "deny", "advisories": "ignore"}
BAN_KEYS = {"crate", "reason", "wrappers", "deny-multiple-versions"}


def rules(text: str) -> dict:
    """The rules of a deny.toml; ValueError for one that is not held here."""
    found = tomllib.loads(text)
    for section, entries in found.items():
        for key, value in entries.items():
            listed = LISTS.get(section) == key
            if not listed and FIXED.get(section, {}).get(key) != value:
                raise ValueError(
                    f"deny.toml: [{section}] {key} = {value!r} is not held by tools/deny.py"
                )
    for section in FIXED.keys() - found.keys():
        raise ValueError(f"deny.toml: [{section}] is missing")
    for ban in found["bans"]["deny"]:
        if ban.keys() - BAN_KEYS or not ban.get("reason"):
            raise ValueError(
                f"deny.toml: the entry of {ban.get('crate')} has unknown keys or no reason"
            )
    return found


def is_allowed(expression: str, allowed: set[str]) -> bool:
    """Whether a licence expression (SPDX) can be met by the allowed licences alone."""
    text = re.sub(r"\s*/\s*", " OR ", expression)
    tokens = re.findall(r"\(|\)|[^\s()]+", text)
    position = 0

    def either() -> bool:
        nonlocal position
        found = both()
        while position < len(tokens) and tokens[position] == "OR":
            position += 1
            found = both() or found
        return found

    def both() -> bool:
        nonlocal position
        found = one()
        while position < len(tokens) and tokens[position] == "AND":
            position += 1
            found = one() and found
        return found

    def one() -> bool:
        nonlocal position
        token = tokens[position]
        position += 1
        if token == "(":
            found = either()
            position += 1
            return found
        if position + 1 < len(tokens) and tokens[position] == "WITH":
            token += f" WITH {tokens[position + 1]}"
            position += 2
        return token in allowed

    return either()


def licence_problems(rules: dict, packages: list[dict]) -> list[str]:
    """Packages of cargo's metadata whose licence is not allowed."""
    allowed = set(rules["licenses"]["allow"])
    problems = []
    for package in packages:
        licence = package["license"]
        if not licence or not is_allowed(licence, allowed):
            problems.append(
                f"{named(package)}: licence {licence or package['license_file'] or 'missing'} is not allowed"
            )
    return problems


def source_problems(locked: list[dict], members: set[str]) -> list[str]:
    """Packages of Cargo.lock that are not of the one registry, pinned by checksum."""
    problems = []
    registries = {
        package["source"] for package in locked if package.get("source", "").startswith("registry+")
    }
    if len(registries) > 1:
        problems.append(f"Cargo.lock: {len(registries)} registries, and one is allowed")
    for package in locked:
        source = package.get("source")
        if source is None:
            if package["name"] not in members:
                problems.append(
                    f"{named(package)}: is outside of the workspace and of the registry"
                )
        elif not source.startswith("registry+"):
            problems.append(
                f"{named(package)}: comes from {source.split('+')[0]}, not from the registry"
            )
        elif "checksum" not in package:
            problems.append(f"{named(package)}: has no checksum")
    return problems


def ban_problems(rules: dict, locked: list[dict]) -> list[str]:
    """Packages of Cargo.lock that are banned, or there twice, or brought by others than their entry allows."""
    problems = []
    for ban in rules["bans"]["deny"]:
        name = ban["crate"]
        versions = [package["version"] for package in locked if package["name"] == name]
        if ban.get("deny-multiple-versions"):
            if len(versions) > 1:
                problems.append(
                    f"{name}: {len(versions)} versions ({', '.join(versions)}): {ban['reason']}"
                )
            continue
        if not versions:
            continue
        if "wrappers" not in ban:
            problems.append(f"{name} {versions[0]}: {ban['reason']}")
            continue
        for package in locked:
            needs = {entry.split()[0] for entry in package.get("dependencies", [])}
            if name in needs and package["name"] not in ban["wrappers"]:
                problems.append(f"{named(package)}: brings {name}: {ban['reason']}")
    return problems


def named(package: dict) -> str:
    return f"{package['name']} {package['version']}"
