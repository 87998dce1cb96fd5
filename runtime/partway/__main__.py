"""``python -m partway`` is the command ``partway``."""

import sys

from partway.cli import main

sys.exit(main())
