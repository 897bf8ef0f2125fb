"""What a sweep is besides its runs: which job is which, how a search chooses, and what is told at the end."""
