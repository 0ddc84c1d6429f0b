"""Downloads, each into a folder of its own under the cache."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

from bench.data.cache import home
from bench.errors import Unfit, one_line


def fetched(name: str, fetch: Callable[[Path], object]) -> Path:
    """The folder of what was downloaded for the data set `name`, now or before.

    It is filled aside and renamed: of two workers that start together, the second to
    end throws its own away.

    Args:
        name: Of the data set.
        fetch: Fills the folder that it is given, and verifies what came.

    Raises:
        Unfit: the download fails, or the cache folder takes no files.
    """
    folder = home() / "raw" / name
    if folder.is_dir():
        return folder
    aside = folder.with_name(f".{name}.{uuid4().hex[:8]}.part")
    try:
        aside.mkdir(parents=True)
        fetch(aside)
        os.replace(aside, folder)
    # OSError covers URLError; torchvision tells a wrong checksum as RuntimeError.
    except (OSError, RuntimeError) as error:
        if not folder.is_dir():
            why = one_line(error)
            raise Unfit(
                f"cannot download {name}: {why}; where there is no network, bring its "
                f"files to {folder}"
            ) from error
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return folder
