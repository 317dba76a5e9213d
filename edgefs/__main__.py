"""`python -m edgefs` is the command `edgefs`."""

import sys

from edgefs.cli import main

sys.exit(main())
