"""The recipe language: typed sections, and the reader that finds every mistake at once. No torch."""
