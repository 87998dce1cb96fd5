"""One file for each tool that is measured; see `benchmarks.jobs` for what a file has to offer."""
