"""Unpacks the Milvus server out of its wheel, and writes the server's default settings as JSON.

unpack_wheel.py WHEEL DEST    needs PyYAML

The wheel keeps the binary and its libraries as lzma members; its settings are a template with {{ name(type): default }}.
"""
import json
import lzma
import os
import re
import sys
import zipfile
from concurrent.futures import ThreadPoolExecutor

import yaml

PLACEHOLDER = re.compile(r"\{\{\s*\w+(?:\(\w+\))?(?::\s*(.*?))?\s*\}\}")


def main(wheel: str, dest: str) -> None:
    os.makedirs(f"{dest}/lib", exist_ok=True)
    with zipfile.ZipFile(wheel) as archive:
        packed = [name for name in archive.namelist() if name.endswith(".lzma")]
        plain = [name for name in archive.namelist() if name.startswith("milvus/data/") and not name.endswith("/")]
        if not packed:
            sys.exit(f"{wheel} holds no server: expected .lzma members as in milvus 2.3")
        data = {name: archive.read(name) for name in packed}
        for name in plain:
            if not name.endswith(".lzma"):
                with open(f"{dest}/{os.path.basename(name)}", "wb") as out:
                    out.write(archive.read(name))

    def unpack(name: str) -> None:
        path = f"{dest}/lib/{os.path.basename(name)[: -len('.lzma')]}"
        with open(path, "wb") as out:
            out.write(lzma.decompress(data[name]))  # releases the interpreter lock
        os.chmod(path, 0o755)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(unpack, packed))
    with open(f"{dest}/config.yaml.template") as template:
        settings = yaml.safe_load(PLACEHOLDER.sub(lambda match: match.group(1) or "", template.read()))
    with open(f"{dest}/defaults.json", "w") as out:
        json.dump(settings, out, indent=1)


main(*sys.argv[1:])
