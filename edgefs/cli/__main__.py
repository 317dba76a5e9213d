"""`python -m edgefs.cli …`: the same as `edgefs …`."""

import sys

from edgefs.cli import main

sys.exit(main())
