"""Cases for the official Python client, grouped by subject."""

import cases_exec  # noqa: F401  declares its cases when imported
import cases_files  # noqa: F401
import cases_images  # noqa: F401
import cases_life  # noqa: F401
import cases_reach  # noqa: F401
import cases_volumes  # noqa: F401
import suite

suite.main()
