"""`spanledger init`: writes a settings file in which every setting is explained and commented out."""

from pathlib import Path
from typing import Annotated

import typer

from spanledger import settings
from spanledger.cli.options import Place, application, examples, with_config
from spanledger.cli.output import say
from spanledger.errors import BadRequest

EXAMPLES = """\
  spanledger init                        writes spanledger.toml into the working folder
  spanledger init - > team.toml          prints it
  spanledger up --config team.toml
"""
_HEAD = """\
# Settings of Spanledger. What is commented out shows the default.
# A flag goes before an environment variable (SPANLEDGER_ and the name in capitals), that before this file.
# Paths are relative to this file. Every command reads spanledger.toml in the working folder, or --config FILE.
"""
app = application()


@app.command(epilog=examples(EXAMPLES))
@with_config
def init(
    place: Place,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The file to write; - for standard output.")] = Path(
        settings.FILE
    ),
    force: Annotated[bool, typer.Option("--force", help="Overwrite an existing file.")] = False,
) -> int:
    """Writes a settings file in which every setting is explained and commented out."""
    text = commented()
    if str(file) == "-":
        print(text, end="")
        return 0
    try:
        with file.open("w" if force else "x", encoding="utf-8") as out:
            out.write(text)
    except FileExistsError as exc:
        raise BadRequest(f"{file} exists already; --force overwrites it") from exc
    except OSError as exc:
        raise BadRequest(f"{file} cannot be written: {exc.strerror}") from exc
    say(f"{file} is written; remove the # before a setting to change it")
    return 0


def commented() -> str:
    """The settings file with every default."""
    known = settings.described()
    return _HEAD + "".join(f"\n# {one.meaning}\n# {one.name} = {_toml(one.default)}\n" for one in known)


def _toml(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, int | float) else f'"{value}"'
