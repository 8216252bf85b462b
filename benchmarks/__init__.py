"""Side-by-side measurements. Each one is a command that writes its own section of docs/benchmarks.md."""
