"""The entry point of `python -m local`, which is the same as `chaincast`."""

from __future__ import annotations

import sys

from local.cli import main

sys.exit(main())
